"""Compile the metrics and write the report page."""

from bazar.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
