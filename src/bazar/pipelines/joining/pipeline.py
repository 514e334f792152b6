"""The joining pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.joining.nodes import join_titles


def create_pipeline() -> Pipeline:
    """Join titles and attributes onto the accepted interactions."""
    return Pipeline(
        [
            Node(
                join_titles,
                ["ingested_tables", "added_products", "params:joining"],
                ["interactions", "products", "joining_summary"],
                name="join_titles",
            ),
        ],
        namespace="joining",
        prefix_datasets_with_namespace=False,
    )
