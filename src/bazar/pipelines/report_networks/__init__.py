"""The fourteen networks of the report's Table 1, its figures beside ours."""

from bazar.pipelines.report_networks.pipeline import create_pipeline

__all__ = ["create_pipeline"]
