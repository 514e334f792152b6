"""Turn titles into vectors."""

from bazar.pipelines.embedding.pipeline import create_pipeline

__all__ = ["create_pipeline"]
