"""The graph of the search pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.tuning.nodes import draw_tuning, tune


def create_pipeline() -> Pipeline:
    """Tune a network's block on the validation part; the test part is not read."""
    return Pipeline(
        [
            Node(
                tune,
                [
                    "train",
                    "validation",
                    "item_index",
                    "item_vectors",
                    "params:classifier",
                    "params:regressor",
                    "params:tuning",
                    "params:seed",
                    "tuning_study",
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
        ]
    )
