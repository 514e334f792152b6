"""Train and evaluate the regressor."""

from bazar.pipelines.modelling_regressor.pipeline import create_pipeline

__all__ = ["create_pipeline"]
