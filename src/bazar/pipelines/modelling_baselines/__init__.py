"""What a model must beat."""

from bazar.pipelines.modelling_baselines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
