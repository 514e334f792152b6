"""The pipeline modelling_baselines."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.modelling_baselines.nodes import evaluate_baselines


def create_pipeline() -> Pipeline:
    """Evaluate the baselines on the test part."""
    return Pipeline(
        [
            Node(
                evaluate_baselines,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "raw_oracle",
                    "params:baselines",
                    "params:evaluation",
                ],
                "baselines.results",
                name="evaluate_baselines",
            )
        ],
        namespace="modelling_baselines",
        prefix_datasets_with_namespace=False,
    )
