"""The graph of the regressor."""

from kedro.pipeline import Pipeline

from bazar.modelling.network_pipeline import network_pipeline
from bazar.modelling.nodes import train_configured_network


def create_pipeline() -> Pipeline:
    """Train the network that ``regressor.network`` chooses, recommend, measure."""
    return network_pipeline("regressor", train_configured_network, "regressor")
