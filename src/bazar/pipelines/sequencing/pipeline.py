"""The sequencing pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.sequencing.nodes import index_items, order_sequences, split_sequences


def create_pipeline() -> Pipeline:
    """Index the items, sort the interactions of each user, and split them into parts."""
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
        ],
        namespace="sequencing",
        prefix_datasets_with_namespace=False,
    )
