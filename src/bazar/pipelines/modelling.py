"""The template of the modelling pipelines: train, recommend, measure.

It is laid down once per model, under the model's name: ``classifier.network``,
``classifier.ranks``, ``classifier.metrics``.
"""

from collections.abc import Callable
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from bazar.errors import InputError
from bazar.options import EvaluationOptions
from bazar.ranking import measure, rank_catalogue, ranks_table, recommendations_table
from bazar.recommenders import Recommender
from bazar.windows import Windows

# What the models share; everything else a model reads or writes is its own.
SHARED = {
    "train",
    "validation",
    "test",
    "item_index",
    "item_vectors",
    "training_counts",
    "recent_counts",
}


def training_pipeline(model: str, train: Callable[..., Any], reads: list[str]) -> Pipeline:
    """Train a network.

    Args:
        model: name of the model.
        train: node function; takes ``train``, ``validation``, ``item_index``, the model's
            options, then ``reads``; returns the network, its history and its facts.
        reads: further shared data sets that ``train`` reads.
    """
    node = Node(
        train,
        ["train", "validation", "item_index", "params:model", *reads],
        ["network", "history", "training"],
        name="train",
    )
    return Pipeline(
        [node],
        namespace=model,
        inputs={"train", "validation", "item_index", *reads},
        parameters={"params:model": f"params:{model}"},
    )


def evaluation_pipeline(model: str, recommend: Callable[..., Any], reads: list[str]) -> Pipeline:
    """Recommend to every test row, and measure.

    Args:
        model: name of the model.
        recommend: node function; takes ``test``, ``item_index``, the evaluation options, then
            ``reads``; returns the tables of ranks and of recommendations.
        reads: further data sets that ``recommend`` reads, shared ones or the model's own, and
            parameters.
    """
    nodes = [
        Node(
            recommend,
            ["test", "item_index", "params:evaluation", *reads],
            ["ranks", "recommendations"],
            name="recommend",
        ),
        Node(
            measure_model,
            ["ranks", "recommendations", "item_index", "params:evaluation"],
            "metrics",
            name="measure",
        ),
    ]
    return Pipeline(
        nodes,
        namespace=model,
        inputs={"test", "item_index", *(name for name in reads if name in SHARED)},
        parameters={
            "params:evaluation",
            *(name for name in reads if name.startswith("params:")),
        },
    )


def recommend_to_rows(
    recommender: Recommender, test: Windows, item_index: ir.Table, evaluation: EvaluationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue for every test row.

    Returns:
        The ranks of the targets, and the top k of each row.
    """
    rankings = rank_catalogue(recommender, test, evaluation.top_k, evaluation.batch_size)
    item_ids = external_ids(item_index)
    return (
        ranks_table(rankings, test, item_ids),
        recommendations_table(rankings, test, item_ids),
    )


def measure_model(
    ranks: pd.DataFrame,
    recommendations: pd.DataFrame,
    item_index: ir.Table,
    evaluation: EvaluationOptions,
) -> dict[str, Any]:
    """Measure a model from its two tables, masked and unmasked, and say on what."""
    n_items = count_items(item_index)
    figures = measure(
        ranks, recommendations, n_items, evaluation.bootstrap_resamples, evaluation.seed
    )
    return figures | {"measured_on": {"test_rows": len(ranks), "items": n_items}}


def check_size(found: int, item_index: ir.Table, what: str, pipeline: str) -> None:
    """Refuse what was made for another catalogue.

    Args:
        found: items that it was made for.
        item_index: the catalogue.
        what: what it is called in the message.
        pipeline: what makes it anew.

    Raises:
        InputError: if the catalogue has more or fewer items.
    """
    if found != (n_items := count_items(item_index)):
        raise InputError(
            f"{what} was made for {found:,} items, and the catalogue has {n_items:,}: it grew or "
            f"shrank since\nRun the pipeline {pipeline} again, and those after it"
        )


def count_items(item_index: ir.Table) -> int:
    """Size of the catalogue."""
    return int(item_index.count().to_pyarrow().as_py())


def external_ids(item_index: ir.Table) -> np.ndarray:
    """External ids by item index, shape (items + 1,); index 0 has none."""
    ordered = item_index.order_by("item_index").to_pyarrow()["item_id"].to_pylist()
    return np.array(["", *ordered], dtype=object)
