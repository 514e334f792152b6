"""Join titles and attributes onto the interactions."""

from bazar.pipelines.joining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
