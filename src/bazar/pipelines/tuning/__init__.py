"""Tune the parameters of a network on the validation part."""

from bazar.pipelines.tuning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
