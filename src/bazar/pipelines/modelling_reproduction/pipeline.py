"""The graph of the report's two networks."""

from kedro.pipeline import Pipeline

from bazar.modelling.network_pipeline import network_pipeline
from bazar.modelling.nodes import train_report


def create_pipeline() -> Pipeline:
    """Train Model I and Model II, recommend, measure."""
    return network_pipeline("model_i", train_report, "classifier") + network_pipeline(
        "model_ii", train_report, "regressor"
    )
