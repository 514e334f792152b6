"""The reporting pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.reporting.nodes import (
    choose_examples,
    collect_results,
    compile_metrics,
    map_titles,
    write_report,
)

RESULTS = ["classifier.results", "regressor.results", "blend.results", "baselines.results"]
DATA = ["splits", "item_index", "products"]


def create_pipeline() -> Pipeline:
    """Compile the metrics of all models and write the report page."""
    return Pipeline(
        [
            Node(
                collect_results,
                [*RESULTS, "reproduction.results", "splits", "item_index"],
                "reported_results",
                name="collect_results",
            ),
            Node(
                compile_metrics,
                [
                    "reported_results",
                    "reproduction.results",
                    *DATA,
                    "params:dataset",
                    "params:recommendation",
                ],
                "metrics",
                name="compile_metrics",
            ),
            Node(
                map_titles,
                ["products", "item_index", "item_vectors", "params:reporting"],
                "title_map",
                name="map_titles",
            ),
            Node(
                choose_examples,
                [
                    *DATA,
                    "reported_results",
                    "params:recommendation",
                    "params:reporting",
                ],
                "examples",
                name="choose_examples",
            ),
            Node(
                write_report,
                [
                    "metrics",
                    "examples",
                    "ingested_tables",
                    "joining_summary",
                    "title_map",
                    "reproduction_table",
                    "params:embedding",
                ],
                "report",
                name="write_report",
            ),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
