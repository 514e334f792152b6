"""The ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.ingestion.nodes import ingest_raw_files


def create_pipeline() -> Pipeline:
    """Convert the raw files to typed tables, and summarize the rejected rows."""
    return Pipeline(
        [
            Node(
                ingest_raw_files,
                ["raw_interactions", "raw_products", "params:ingestion"],
                ["accepted_interactions", "accepted_products", "ingestion_summary"],
                name="ingest_raw_files",
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
