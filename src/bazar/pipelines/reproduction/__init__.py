"""The fourteen networks of the report's Table 1, its figures beside ours."""

from bazar.pipelines.reproduction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
