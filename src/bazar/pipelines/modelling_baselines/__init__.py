"""Evaluate the models that train no network."""

from bazar.pipelines.modelling_baselines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
