"""Select the recommending models, build the bundle, and recommend to every customer."""

from bazar.pipelines.recommendation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
