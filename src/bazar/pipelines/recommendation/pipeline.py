"""The graph of the recommendation pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.recommendation.nodes import (
    build_bundle,
    describe_bundle,
    recommend_to_everyone,
)


def create_pipeline() -> Pipeline:
    """Pack what a Recommender is loaded from, and recommend to every customer."""
    return Pipeline(
        [
            Node(
                build_bundle,
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
                ["bundle_customers", "bundle_products", "bundle_vectors"],
                name="build_bundle",
            ),
            Node(
                describe_bundle,
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
                name="describe_bundle",
            ),
            Node(
                recommend_to_everyone,
                [
                    "bundle_customers",
                    "bundle_products",
                    "bundle_vectors",
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
