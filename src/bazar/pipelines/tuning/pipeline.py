"""The pipeline tuning."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.tuning.nodes import draw_tuning, tune


def create_pipeline() -> Pipeline:
    """Tune the parameters of a network on the validation part."""
    return Pipeline(
        [
            Node(
                tune,
                [
                    "splits",
                    "products",
                    "item_vectors",
                    "params:classifier",
                    "params:regressor",
                    "params:tuning",
                    "params:seed",
                    "previous_training",
                ],
                ["tuning_best", "tuning_trials", "tuning_importances"],
                name="tune",
            ),
            Node(
                draw_tuning,
                ["tuning_trials", "tuning_importances", "params:tuning"],
                "tuning_figure",
                name="draw_tuning",
            ),
        ],
        namespace="tuning",
        prefix_datasets_with_namespace=False,
    )
