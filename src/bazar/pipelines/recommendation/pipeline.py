"""The recommendation pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.recommendation.nodes import (
    build_bundle,
    build_catalogue,
    describe_bundle,
    describe_models,
    export_encoder,
    export_networks,
    publish_bundle,
    recommend_to_everyone,
    select_models,
)

RESULTS = ["classifier.results", "regressor.results", "blend.results", "baselines.results"]
CATALOGUE_TABLES = [
    "splits",
    "item_index",
    "products",
    "item_vectors",
    "added_products",
    "title_vectors",
]
MODEL_PARAMETERS = ["params:blend", "params:baselines", "params:seed"]
RUN_PARAMETERS = ["params:recommendation", "params:embedding", "params:dataset"]
SPLIT_TABLES = ["splits", "ingested_tables", "joining_summary"]
EXPORTS = ["exported_networks", "exported_encoder"]


def create_pipeline() -> Pipeline:
    """Build the bundle that a Recommender loads, and recommend to every customer."""
    return Pipeline(
        [
            Node(
                select_models,
                [*RESULTS, "params:recommendation"],
                "recommending_models",
                name="select_models",
            ),
            Node(
                build_catalogue,
                [*CATALOGUE_TABLES, "params:sequencing", "params:embedding"],
                ["customers", "catalogue"],
                name="build_catalogue",
            ),
            Node(
                describe_models,
                ["recommending_models", "blend.results", *MODEL_PARAMETERS],
                "model_options",
                name="describe_models",
            ),
            Node(
                describe_bundle,
                ["model_options", *RUN_PARAMETERS, *SPLIT_TABLES],
                "bundle_options",
                name="describe_bundle",
            ),
            Node(
                export_networks,
                ["bundle_options", "customers", "catalogue", "trained_networks"],
                "exported_networks",
                name="export_networks",
            ),
            Node(export_encoder, "params:embedding", "exported_encoder", name="export_encoder"),
            Node(
                build_bundle,
                ["bundle_options", "customers", "catalogue", *EXPORTS],
                "bundle",
                name="build_bundle",
            ),
            Node(
                recommend_to_everyone,
                ["bundle", "params:recommendation", "params:engine"],
                "recommendations",
                name="recommend_to_everyone",
            ),
            Node(
                publish_bundle,
                ["recommendations", "params:split", "params:seed"],
                "current_bundle",
                name="publish_bundle",
            ),
        ],
        namespace="recommendation",
        prefix_datasets_with_namespace=False,
    )
