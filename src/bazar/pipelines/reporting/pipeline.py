"""The graph of the reporting pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.config.models import BASELINES
from bazar.pipelines.reporting.nodes import (
    choose_examples,
    compile_metrics,
    draw_loss,
    draw_title_map,
    map_titles,
    write_report,
)

# In the order in which they are shown.
TRAINED = ["classifier", "regressor", "model_i", "model_ii"]


def create_pipeline() -> Pipeline:
    """Metrics, figures, examples and the page."""
    return Pipeline(
        [
            Node(
                compile_metrics,
                {
                    "dataset": "params:dataset",
                    "split": "params:split",
                    "sequences": "sequences",
                    "item_index": "item_index",
                    "test": "test",
                }
                | {
                    f"{model}_metrics": f"{model}.metrics"
                    for model in [*TRAINED, "blend", *BASELINES]
                }
                | {f"{model}_training": f"{model}.training" for model in [*TRAINED, "blend"]},
                "metrics",
                name="compile_metrics",
            ),
            *(
                Node(
                    draw_loss,
                    [f"{model}.training_log", f"{model}.training"],
                    f"{model}.loss_figure",
                    name=f"draw_{model}_loss",
                )
                for model in TRAINED
            ),
            Node(
                map_titles,
                ["products", "item_index", "item_vectors", "params:reporting"],
                "title_map",
                name="map_titles",
            ),
            Node(draw_title_map, "title_map", "title_map_figure", name="draw_title_map"),
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
                    *(f"{model}.training_log" for model in TRAINED),
                    "title_coverage",
                    "rejects",
                    "ingestion_counts",
                    "joining_counts",
                    "example_customers",
                    "title_map",
                    "reproduction_table",
                    "split_summary",
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
