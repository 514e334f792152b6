"""One table of metrics, figures, one page to read."""

from bazar.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
