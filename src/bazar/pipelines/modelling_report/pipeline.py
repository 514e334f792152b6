"""The graph of the report's two networks."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import network_pipeline, train_report


def create_pipeline() -> Pipeline:
    """Train Model I and Model II, recommend, measure."""
    return network_pipeline("report_classifier", train_report, "classifier") + network_pipeline(
        "report_regressor", train_report, "regressor"
    )
