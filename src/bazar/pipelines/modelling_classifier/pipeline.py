"""The graph of Model I, the classifier."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import evaluation_pipeline, training_pipeline
from bazar.pipelines.modelling_classifier.nodes import recommend_by_classifier, train_classifier


def create_pipeline() -> Pipeline:
    """Train on item ids, recommend, measure."""
    return training_pipeline("classifier", train_classifier, reads=[]) + evaluation_pipeline(
        "classifier", recommend_by_classifier, reads=["network"]
    )
