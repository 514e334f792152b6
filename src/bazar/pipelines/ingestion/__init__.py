"""Read the raw files, and accept or reject each row."""

from bazar.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
