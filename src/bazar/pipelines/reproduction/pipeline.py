"""The graph of the report's networks."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.reproduction.nodes import (
    measure_mean_title,
    tabulate_variants,
    train_variants,
    write_reproduction_page,
)


def create_pipeline() -> Pipeline:
    """Train and measure each network, and write the report's figures beside ours."""
    return Pipeline(
        [
            Node(
                train_variants,
                [
                    "train",
                    "validation",
                    "test",
                    "item_index",
                    "item_vectors",
                    "previous_reproduction_results",
                    "params:reproduction",
                    "params:seed",
                    "params:evaluation",
                    "reproduction.checkpoint",
                ],
                "reproduction_results",
                name="train_variants",
            ),
            Node(
                measure_mean_title,
                ["train", "test", "item_vectors", "params:evaluation"],
                "mean_title_metrics",
                name="measure_mean_title",
            ),
            Node(
                tabulate_variants,
                [
                    "reproduction_results",
                    "params:reproduction",
                    "mean_title_metrics",
                    "test",
                    "item_vectors",
                ],
                "reproduction_table",
                name="tabulate_variants",
            ),
            Node(
                write_reproduction_page,
                [
                    "reproduction_table",
                    "test",
                    "item_vectors",
                    "params:dataset",
                    "params:split",
                    "params:seed",
                ],
                "reproduction_page",
                name="write_reproduction_page",
            ),
        ]
    )
