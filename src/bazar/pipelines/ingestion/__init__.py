"""Read, type, accept or reject with a reason."""

from bazar.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
