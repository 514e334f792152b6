"""Choose the weights of the blend and evaluate it."""

from bazar.pipelines.modelling_blend.pipeline import create_pipeline

__all__ = ["create_pipeline"]
