"""The embedding pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.embedding.nodes import build_item_vectors, embed_titles


def create_pipeline() -> Pipeline:
    """Embed the titles of the products, and align the vectors with the item index."""
    return Pipeline(
        [
            Node(
                embed_titles,
                ["products", "previous_title_vectors", "params:embedding"],
                "title_vectors",
                name="embed_titles",
            ),
            Node(
                build_item_vectors,
                ["products", "item_index", "title_vectors", "params:embedding"],
                "item_vectors",
                name="build_item_vectors",
            ),
        ],
        namespace="embedding",
        prefix_datasets_with_namespace=False,
    )
