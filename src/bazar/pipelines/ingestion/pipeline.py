"""The ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.ingestion.nodes import ingest_raw_files


def create_pipeline() -> Pipeline:
    """Convert the raw files to typed tables, and count the excluded and rejected rows."""
    return Pipeline(
        [
            Node(
                ingest_raw_files,
                ["raw_interactions", "raw_products", "params:ingestion"],
                ["ingested_tables", "events"],
                name="ingest_raw_files",
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
