"""The pipeline modelling_reproduction."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.modelling_reproduction.nodes import (
    evaluate_reproduction,
    train_model_i,
    train_model_ii,
)


def create_pipeline() -> Pipeline:
    """Train the two networks of the original study and evaluate them on the test part."""
    return Pipeline(
        [
            Node(
                train_model_i,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "params:classifier",
                    "params:seed",
                    "previous_training",
                ],
                ["model_i.network", "model_i.training"],
                name="train_model_i",
            ),
            Node(
                train_model_ii,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "params:regressor",
                    "params:seed",
                    "previous_training",
                ],
                ["model_ii.network", "model_ii.training"],
                name="train_model_ii",
            ),
            Node(
                evaluate_reproduction,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "model_i.network",
                    "model_i.training",
                    "model_ii.network",
                    "model_ii.training",
                    "params:evaluation",
                ],
                "reproduction.results",
                name="evaluate_reproduction",
            ),
        ],
        namespace="modelling_reproduction",
        prefix_datasets_with_namespace=False,
    )
