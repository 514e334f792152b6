"""Model II: titles alone to the next item."""

from bazar.pipelines.modelling_regressor.pipeline import create_pipeline

__all__ = ["create_pipeline"]
