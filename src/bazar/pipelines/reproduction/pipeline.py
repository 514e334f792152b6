"""The pipeline reproduction."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.reproduction.nodes import (
    measure_mean_title,
    tabulate_variants,
    train_variants,
    write_reproduction_page,
)


def create_pipeline() -> Pipeline:
    """Train the fourteen networks of the original study, and compare them with its figures."""
    return Pipeline(
        [
            Node(
                train_variants,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "previous_variant_results",
                    "params:reproduction",
                    "params:seed",
                    "params:evaluation",
                    "previous_training",
                ],
                "variant_results",
                name="train_variants",
            ),
            Node(
                measure_mean_title,
                ["splits", "item_vectors", "params:evaluation"],
                "mean_title_metrics",
                name="measure_mean_title",
            ),
            Node(
                tabulate_variants,
                [
                    "variant_results",
                    "params:reproduction",
                    "mean_title_metrics",
                    "splits",
                    "item_vectors",
                ],
                "reproduction_table",
                name="tabulate_variants",
            ),
            Node(
                write_reproduction_page,
                [
                    "reproduction_table",
                    "splits",
                    "item_vectors",
                    "params:dataset",
                    "params:seed",
                ],
                "reproduction_page",
                name="write_reproduction_page",
            ),
        ],
        namespace="reproduction",
        prefix_datasets_with_namespace=False,
    )
