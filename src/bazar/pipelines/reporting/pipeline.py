"""The graph of the reporting pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.reporting.nodes import (
    choose_examples,
    compile_metrics,
    draw_classifier_loss,
    draw_regressor_loss,
    write_report,
)


def create_pipeline() -> Pipeline:
    """Metrics, figures, examples and the page."""
    return Pipeline(
        [
            Node(
                compile_metrics,
                [
                    "params:dataset",
                    "params:split",
                    "sequences",
                    "item_index",
                    "test",
                    "classifier.metrics",
                    "regressor.metrics",
                    "popularity.metrics",
                    "recent_popularity.metrics",
                    "last_item_cooccurrence.metrics",
                    "decayed_cooccurrence.metrics",
                    "session_knn.metrics",
                    "ease.metrics",
                    "title_neighbours.metrics",
                    "classifier.training",
                    "regressor.training",
                ],
                "metrics",
                name="compile_metrics",
            ),
            Node(
                draw_classifier_loss,
                "classifier.history",
                "classifier.loss_figure",
                name="draw_classifier_loss",
            ),
            Node(
                draw_regressor_loss,
                "regressor.history",
                "regressor.loss_figure",
                name="draw_regressor_loss",
            ),
            Node(
                choose_examples,
                [
                    "test",
                    "sequences",
                    "products",
                    "classifier.ranks",
                    "regressor.ranks",
                    "classifier.recommendations",
                    "regressor.recommendations",
                    "params:reporting",
                ],
                "example_customers",
                name="choose_examples",
            ),
            Node(
                write_report,
                [
                    "metrics",
                    "classifier.history",
                    "regressor.history",
                    "title_coverage",
                    "rejects",
                    "ingestion_counts",
                    "joining_counts",
                    "example_customers",
                    "params:split",
                    "params:sequencing",
                    "params:embedding",
                    "params:classifier",
                    "params:regressor",
                    "params:evaluation",
                ],
                "report",
                name="write_report",
            ),
        ]
    )
