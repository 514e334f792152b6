"""The pipeline modelling_blend."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.modelling_blend.nodes import (
    build_components,
    choose_weights,
    evaluate_blend,
    load_component_networks,
)


def create_pipeline() -> Pipeline:
    """Choose the weights of the blend on the validation part, and evaluate it on the test part."""
    return Pipeline(
        [
            Node(
                load_component_networks,
                [
                    "trained_networks",
                    "classifier.results",
                    "regressor.results",
                    "splits",
                    "item_index",
                    "params:blend",
                    "params:seed",
                ],
                "blend.networks",
                name="load_component_networks",
            ),
            Node(
                build_components,
                [
                    "blend.networks",
                    "splits",
                    "item_index",
                    "item_vectors",
                    "params:blend",
                    "params:baselines",
                    "params:seed",
                ],
                "blend.components",
                name="build_components",
            ),
            Node(
                choose_weights,
                [
                    "blend.components",
                    "blend.networks",
                    "splits",
                    "params:blend",
                    "params:evaluation",
                    "params:seed",
                ],
                "blend.training",
                name="choose_weights",
            ),
            Node(
                evaluate_blend,
                ["blend.components", "blend.training", "splits", "item_index", "params:evaluation"],
                "blend.results",
                name="evaluate_blend",
            ),
        ],
        namespace="modelling_blend",
        prefix_datasets_with_namespace=False,
    )
