"""From each customer's whole history to what is recommended next."""

from bazar.pipelines.recommendation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
