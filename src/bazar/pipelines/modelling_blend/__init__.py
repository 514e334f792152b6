"""What the models and the baselines recommend together."""

from bazar.pipelines.modelling_blend.pipeline import create_pipeline

__all__ = ["create_pipeline"]
