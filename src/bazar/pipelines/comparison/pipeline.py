"""The comparison pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.comparison.nodes import compare_models, draw_comparison, write_comparison


def create_pipeline() -> Pipeline:
    """Compare the results of all models and seeds."""
    return Pipeline(
        [
            Node(
                compare_models,
                [
                    "previous_results",
                    "splits",
                    "sequences",
                    "item_index",
                    "params:dataset",
                    "params:comparison",
                ],
                "comparison",
                name="compare_models",
            ),
            Node(write_comparison, "comparison", "comparison_page", name="write_comparison"),
            Node(draw_comparison, "comparison", "comparison_figure", name="draw_comparison"),
        ],
        namespace="comparison",
        prefix_datasets_with_namespace=False,
    )
