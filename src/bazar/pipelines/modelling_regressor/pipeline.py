"""The graph of the regressor."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import network_pipeline, train_chosen


def create_pipeline() -> Pipeline:
    """Train the network that ``regressor.network`` chooses, recommend, measure."""
    return network_pipeline("regressor", train_chosen, "regressor")
