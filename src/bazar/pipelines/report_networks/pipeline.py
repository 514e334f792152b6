"""The graph of the report's networks."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.report_networks.nodes import (
    measure_mean_title,
    tabulate_report_networks,
    train_report_networks,
    write_report_networks,
)


def create_pipeline() -> Pipeline:
    """Train and measure each network, and write the report's figures beside ours."""
    return Pipeline(
        [
            Node(
                train_report_networks,
                [
                    "train",
                    "validation",
                    "test",
                    "item_index",
                    "item_vectors",
                    "known_report_results",
                    "params:report_networks",
                    "params:seed",
                    "params:evaluation",
                    "report_networks.checkpoint",
                ],
                "report_results",
                name="train_report_networks",
            ),
            Node(
                measure_mean_title,
                ["train", "test", "item_vectors", "params:evaluation"],
                "mean_title_figures",
                name="measure_mean_title",
            ),
            Node(
                tabulate_report_networks,
                [
                    "report_results",
                    "params:report_networks",
                    "mean_title_figures",
                    "test",
                    "item_vectors",
                ],
                "report_networks_table",
                name="tabulate_report_networks",
            ),
            Node(
                write_report_networks,
                [
                    "report_networks_table",
                    "test",
                    "item_vectors",
                    "params:dataset",
                    "params:split",
                    "params:seed",
                ],
                "report_networks_page",
                name="write_report_networks",
            ),
        ]
    )
