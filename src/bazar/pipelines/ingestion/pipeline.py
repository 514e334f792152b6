"""The graph of the ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.ingestion.nodes import (
    collect_counts,
    collect_rejects,
    ingest_interactions,
    ingest_products,
)


def create_pipeline() -> Pipeline:
    """Raw files to typed tables and rejects."""
    return Pipeline(
        [
            Node(
                ingest_interactions,
                ["raw_interactions", "params:ingestion"],
                ["accepted_interactions", "interaction_rejects", "interaction_counts"],
                name="ingest_interactions",
            ),
            Node(
                ingest_products,
                ["raw_products", "params:ingestion"],
                ["accepted_products", "product_rejects", "product_counts"],
                name="ingest_products",
            ),
            Node(
                collect_rejects,
                ["interaction_rejects", "product_rejects"],
                "rejects",
                name="collect_rejects",
            ),
            Node(
                collect_counts,
                ["interaction_counts", "product_counts"],
                "ingestion_counts",
                name="collect_counts",
            ),
        ]
    )
