"""Give every product a title, keep what can be used."""

from bazar.pipelines.joining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
