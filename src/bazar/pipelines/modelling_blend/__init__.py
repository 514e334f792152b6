"""What the models and the floors recommend together."""

from bazar.pipelines.modelling_blend.pipeline import create_pipeline

__all__ = ["create_pipeline"]
