"""Which models differ, over seeds and users, from what earlier runs left."""

from bazar.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
