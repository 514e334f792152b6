"""The graph of Model II, the regressor."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import evaluation_pipeline, training_pipeline
from bazar.pipelines.modelling_regressor.nodes import recommend_by_regressor, train_regressor


def create_pipeline() -> Pipeline:
    """Train on title vectors, recommend the nearest products, measure."""
    return training_pipeline(
        "regressor", train_regressor, reads=["item_vectors"]
    ) + evaluation_pipeline("regressor", recommend_by_regressor, reads=["network", "item_vectors"])
