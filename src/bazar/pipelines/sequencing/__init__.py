"""Order, index, split, window, pad."""

from bazar.pipelines.sequencing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
