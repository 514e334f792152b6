"""The two networks of the student report that the project comes from, as they stand."""

from bazar.pipelines.modelling_reproduction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
