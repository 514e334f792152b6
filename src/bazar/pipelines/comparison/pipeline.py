"""The graph of the comparison pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.comparison.nodes import compare_models, draw_comparison, write_comparison


def create_pipeline() -> Pipeline:
    """Results of all models and seeds, compared; a page and a figure of it."""
    return Pipeline(
        [
            Node(
                compare_models,
                [
                    "all_ranks",
                    "all_metrics",
                    "all_training",
                    "test",
                    "sequences",
                    "item_index",
                    "params:dataset",
                    "params:split",
                    "params:comparison",
                ],
                "comparison",
                name="compare_models",
            ),
            Node(write_comparison, "comparison", "comparison_page", name="write_comparison"),
            Node(draw_comparison, "comparison", "comparison_figure", name="draw_comparison"),
        ]
    )
