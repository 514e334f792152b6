"""The graph of the recommendation pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.recommendation.nodes import (
    describe_shop,
    pack_shop,
    recommend_to_everyone,
)


def create_pipeline() -> Pipeline:
    """Pack what a Recommender is loaded from, and recommend to every customer."""
    return Pipeline(
        [
            Node(
                pack_shop,
                [
                    "sequences",
                    "item_index",
                    "products",
                    "item_vectors",
                    "added_products",
                    "title_vectors",
                    "params:sequencing",
                    "params:embedding",
                ],
                ["shop_customers", "shop_products", "shop_vectors"],
                name="pack_shop",
            ),
            Node(
                describe_shop,
                [
                    "params:dataset",
                    "params:seed",
                    "params:recommendation",
                    "params:blend",
                    "blend.training",
                    "params:decayed_cooccurrence",
                    "params:session_knn",
                    "params:ease",
                ],
                "shop",
                name="describe_shop",
            ),
            Node(
                recommend_to_everyone,
                [
                    "shop_customers",
                    "shop_products",
                    "shop_vectors",
                    "shop",
                    "classifier.network",
                    "regressor.network",
                    "all_networks",
                    "params:recommendation",
                ],
                "recommendations",
                name="recommend_to_everyone",
            ),
        ]
    )
