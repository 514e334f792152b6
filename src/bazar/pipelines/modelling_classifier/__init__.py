"""Model I: ids, and titles beside them, to the next item."""

from bazar.pipelines.modelling_classifier.pipeline import create_pipeline

__all__ = ["create_pipeline"]
