"""The sequencing pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.sequencing.nodes import (
    index_items,
    order_sequences,
    split_sequences,
    summarize_data,
)


def create_pipeline() -> Pipeline:
    """Index the items, sort and split the interactions of each user, and summarize the data."""
    return Pipeline(
        [
            Node(index_items, "products", "item_index", name="index_items"),
            Node(
                order_sequences, ["interactions", "item_index"], "sequences", name="order_sequences"
            ),
            Node(
                split_sequences,
                ["sequences", "item_index", "params:split", "params:sequencing"],
                "splits",
                name="split_sequences",
            ),
            Node(
                summarize_data,
                [
                    "interactions",
                    "products",
                    "ingested_tables",
                    "joining_summary",
                    "splits",
                    "params:dataset",
                    "params:ingestion",
                    "params:recommendation",
                ],
                "data_summary",
                name="summarize_data",
            ),
        ],
        namespace="sequencing",
        prefix_datasets_with_namespace=False,
    )
