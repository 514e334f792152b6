"""Train and evaluate the two networks of the original study."""

from bazar.pipelines.modelling_reproduction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
