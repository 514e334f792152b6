"""Model II: title vectors to the vector of the next title."""

from bazar.pipelines.modelling_regressor.pipeline import create_pipeline

__all__ = ["create_pipeline"]
