"""Train and evaluate the classifier."""

from bazar.pipelines.modelling_classifier.pipeline import create_pipeline

__all__ = ["create_pipeline"]
