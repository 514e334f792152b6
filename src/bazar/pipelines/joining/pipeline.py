"""The graph of the joining pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.joining.nodes import join_titles


def create_pipeline() -> Pipeline:
    """Accepted rows to interactions with titles, the catalogue, and what both cover."""
    return Pipeline(
        [
            Node(
                join_titles,
                ["accepted_interactions", "accepted_products", "added_products", "params:joining"],
                ["interactions", "products", "title_coverage", "joining_counts"],
                name="join_titles",
            ),
        ]
    )
