"""The graph of the ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.ingestion.nodes import ingest_raw_files


def create_pipeline() -> Pipeline:
    """Raw files to typed tables and rejects."""
    return Pipeline(
        [
            Node(
                ingest_raw_files,
                ["raw_interactions", "raw_products", "params:ingestion"],
                ["accepted_interactions", "accepted_products", "rejects", "ingestion_counts"],
                name="ingest_raw_files",
            )
        ]
    )
