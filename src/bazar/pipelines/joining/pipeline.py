"""The graph of the joining pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.joining.nodes import cover_titles, list_products, select_interactions


def create_pipeline() -> Pipeline:
    """Typed tables to interactions, products and the coverage of titles."""
    return Pipeline(
        [
            Node(
                select_interactions,
                ["accepted_interactions", "accepted_products", "params:joining"],
                ["interactions", "joining_counts"],
                name="select_interactions",
            ),
            Node(
                list_products,
                ["interactions", "accepted_products", "params:joining"],
                "products",
                name="list_products",
            ),
            Node(cover_titles, ["interactions", "products"], "title_coverage", name="cover_titles"),
        ]
    )
