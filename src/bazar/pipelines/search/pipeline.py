"""The graph of the search pipeline."""

from kedro.pipeline import Node, Pipeline

from bazar.pipelines.search.nodes import draw_search, search


def create_pipeline() -> Pipeline:
    """Tune a network's block on the validation part; the test part is not read."""
    return Pipeline(
        [
            Node(
                search,
                [
                    "train",
                    "validation",
                    "item_index",
                    "item_vectors",
                    "params:classifier",
                    "params:regressor",
                    "params:search",
                    "params:seed",
                    "search_study",
                ],
                ["search_best", "search_trials", "search_importances"],
                name="search",
            ),
            Node(
                draw_search,
                ["search_trials", "search_importances", "params:search"],
                "search_figure",
                name="draw_search",
            ),
        ]
    )
