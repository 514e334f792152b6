"""The template of the modelling pipelines: train, recommend, measure.

It is laid down once per model, under the model's name: ``classifier.network``,
``classifier.ranks``, ``classifier.metrics``.
"""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from bazar.modelling.nodes import measure_model, recommend_by_network

# What the models share; everything else a model reads or writes is its own.
SHARED = {
    "train",
    "validation",
    "test",
    "item_index",
    "item_vectors",
    "training_counts",
    "recent_counts",
    "classifier.network",
    "regressor.network",
    "all_networks",
}


def network_pipeline(model: str, train: Callable[..., Any], options: str) -> Pipeline:
    """Train a network, recommend by it, measure; the arguments are :func:`training_pipeline`'s."""
    return training_pipeline(model, train, options) + evaluation_pipeline(
        model, recommend_by_network, reads=["network", "item_vectors"]
    )


def training_pipeline(model: str, train: Callable[..., Any], options: str) -> Pipeline:
    """Train a network.

    Args:
        model: name of the model.
        train: node function: :func:`train_configured_network` or :func:`train_report`.
        options: whose parameters it takes: ``classifier`` or ``regressor``.
    """
    node = Node(
        train,
        [
            "train",
            "validation",
            "item_index",
            "item_vectors",
            "params:network",
            "params:seed",
            "params:warm_start",
            "checkpoint",
            "last_network",
            "optimizer",
        ],
        ["network", "training_log", "training"],
        name="train",
    )
    return Pipeline(
        [node],
        namespace=model,
        inputs={"train", "validation", "item_index", "item_vectors"},
        parameters={
            "params:network": f"params:{options}",
            "params:seed": "params:seed",
            "params:warm_start": "params:warm_start",
        },
    )


def evaluation_pipeline(model: str, recommend: Callable[..., Any], reads: list[str]) -> Pipeline:
    """Recommend to every test row, and measure.

    Args:
        model: name of the model.
        recommend: node function; takes ``test``, ``item_index``, ``training_counts``, the
            evaluation options, then ``reads``; returns the tables of ranks and of
            recommendations.
        reads: further data sets that ``recommend`` reads, shared ones or the model's own, and
            parameters.
    """
    nodes = [
        Node(
            recommend,
            ["test", "item_index", "training_counts", "params:evaluation", *reads],
            ["ranks", "recommendations"],
            name="recommend",
        ),
        Node(
            measure_model,
            ["ranks", "recommendations", "item_index", "training_counts", "params:evaluation"],
            "metrics",
            name="measure",
        ),
    ]
    return Pipeline(
        nodes,
        namespace=model,
        inputs={
            "test",
            "item_index",
            "training_counts",
            *(name for name in reads if name in SHARED),
        },
        parameters={
            "params:evaluation",
            *(name for name in reads if name.startswith("params:")),
        },
    )
