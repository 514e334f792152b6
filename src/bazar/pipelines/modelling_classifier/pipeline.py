"""The graph of the classifier."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import network_pipeline, train_chosen


def create_pipeline() -> Pipeline:
    """Train the network that ``classifier.network`` chooses, recommend, measure."""
    return network_pipeline("classifier", train_chosen, "classifier")
