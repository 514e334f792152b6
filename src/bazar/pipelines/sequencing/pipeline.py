"""The graph of the sequencing pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.sequencing.nodes import (
    count_windows,
    index_items,
    order_sequences,
    split_sequences,
)


def create_pipeline() -> Pipeline:
    """Interactions and products to sequences, the item index and the rows of each part."""
    return Pipeline(
        [
            Node(index_items, "products", "item_index", name="index_items"),
            Node(
                order_sequences,
                ["interactions", "item_index"],
                "sequences",
                name="order_sequences",
            ),
            Node(count_windows, "sequences", "window_counts", name="count_windows"),
            Node(
                split_sequences,
                ["sequences", "item_index", "params:split", "params:sequencing"],
                [
                    "train",
                    "validation",
                    "test",
                    "training_counts",
                    "recent_counts",
                    "split_summary",
                ],
                name="split_sequences",
            ),
        ]
    )
