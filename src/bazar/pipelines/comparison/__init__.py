"""Compare the results of all models and seeds, with paired tests."""

from bazar.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
