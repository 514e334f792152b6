"""The pipeline modelling_classifier."""

from kedro.pipeline import Pipeline

from bazar.modelling.network_pipeline import create_network_pipeline


def create_pipeline() -> Pipeline:
    """Train the classifier and evaluate it on the test part."""
    return create_network_pipeline("classifier")
