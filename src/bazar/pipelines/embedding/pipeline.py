"""The graph of the embedding pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.embedding.nodes import embed_titles, place_vectors


def create_pipeline() -> Pipeline:
    """Titles to vectors, and the vectors to the item index."""
    return Pipeline(
        [
            Node(
                embed_titles,
                ["products", "known_title_vectors", "params:embedding"],
                "title_vectors",
                name="embed_titles",
            ),
            Node(
                place_vectors,
                ["products", "item_index", "title_vectors", "params:embedding"],
                "item_vectors",
                name="place_vectors",
            ),
        ]
    )
