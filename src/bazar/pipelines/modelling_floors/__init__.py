"""What a model must beat."""

from bazar.pipelines.modelling_floors.pipeline import create_pipeline

__all__ = ["create_pipeline"]
