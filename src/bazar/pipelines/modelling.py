"""The template of the modelling pipelines: train, recommend, measure.

It is laid down once per model, under the model's name: ``classifier.network``,
``classifier.ranks``, ``classifier.metrics``.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline

from bazar.checkpoints import Checkpoint
from bazar.errors import InputError
from bazar.models import ReadNetwork, network_file
from bazar.network_files import load_network
from bazar.networks import RecurrentNetwork
from bazar.options import REPORT, EvaluationOptions, ModelOptions
from bazar.ranking import (
    mark_of_rows,
    measure,
    rank_catalogue,
    ranks_table,
    recommendations_table,
)
from bazar.scorers import Scorer, of_network
from bazar.training import train_network
from bazar.warm_start import keep_optimizer, last_optimizer, start_from
from bazar.windows import Windows

logger = logging.getLogger(__name__)

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


Networks = dict[str, Callable[[], RecurrentNetwork]]
"""What reads each network, by its path within the folder of results."""

Trained = tuple[RecurrentNetwork, pd.DataFrame, dict[str, Any]]
"""A network, the figures of its epochs, and facts about its training."""


def network_pipeline(model: str, train: Callable[..., Any], options: str) -> Pipeline:
    """Train a network, recommend by it, measure; the arguments are :func:`training_pipeline`'s."""
    return training_pipeline(model, train, options) + evaluation_pipeline(
        model, recommend_by_network, reads=["network", "item_vectors"]
    )


def training_pipeline(model: str, train: Callable[..., Any], options: str) -> Pipeline:
    """Train a network.

    Args:
        model: name of the model.
        train: node function: :func:`train_chosen` or :func:`train_report`.
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
        ["network", "history", "training"],
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


def train_chosen(
    train: Windows,
    validation: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    options: ModelOptions,
    seed: int,
    warm_start: bool,
    checkpoint: Path,
    last_network: Path,
    optimizer: Path,
) -> Iterator[Trained]:
    """Train the network that a model's options choose.

    Yields:
        The network, its history and facts, once. When they are saved, what the optimizer knows is
        written for the next warm start, and the checkpoint is cleared.
    """
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    item_ids = external_ids(item_index)
    start, by = None, options.block.training.optimizer
    if warm_start and last_network.is_file():
        last = load_network(last_network)
        known = last_optimizer(optimizer, last, by)
        if known is None:
            logger.warning(
                "warm start: %s is not what %s was at the end of the training of %s; %s begins "
                "anew, and the network may come out less good", optimizer, by, last_network, by,
            )  # fmt: skip
        start = start_from(last, known, item_ids)
        logger.info("warm start: from the weights of %s", last_network)
    elif warm_start:
        logger.warning("warm start: there is no %s; training from nothing", last_network)
    kept = Checkpoint(checkpoint)
    trained = train_network(
        train,
        validation,
        options.block if start is None else options.block.warmed,
        len(item_ids) - 1,
        seed,
        item_vectors,
        kept,
        start=start,
    )
    trained.network.item_ids = item_ids
    if options.block.needs_vectors:
        trained.network.note_vectors(item_vectors)
    yield trained.network, trained.history, trained.facts | {"network": options.network}
    keep_optimizer(optimizer, trained.network, by, trained.optimizer)
    kept.clear()


def train_report(
    train: Windows,
    validation: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    options: ModelOptions,
    seed: int,
    warm_start: bool,
    checkpoint: Path,
    last_network: Path,
    optimizer: Path,
) -> Iterator[Trained]:
    """Train the report's network, whichever is chosen; see :func:`train_chosen`."""
    chosen = options.model_copy(update={"network": REPORT})
    yield from train_chosen(
        train, validation, item_index, item_vectors, chosen, seed, warm_start, checkpoint,
        last_network, optimizer,
    )  # fmt: skip


def recommend_by_network(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    network: RecurrentNetwork,
    item_vectors: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what a network scores, or by nearness to what it predicts."""
    check_network(network, external_ids(item_index), "the network", "modelling_<model>")
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    return recommend_to_rows(
        of_network(network, item_vectors), test, item_index, training_counts, evaluation
    )


def recommend_to_rows(
    scorer: Scorer,
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue for every test row.

    Returns:
        The ranks of the targets, and the top k of each row.
    """
    rankings = rank_catalogue(scorer, test, evaluation.top_k, evaluation.batch_size)
    item_ids = external_ids(item_index)
    return (
        ranks_table(rankings, test, item_ids, training_counts),
        recommendations_table(rankings, test, item_ids),
    )


def measure_model(
    ranks: pd.DataFrame,
    recommendations: pd.DataFrame,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
) -> dict[str, Any]:
    """Measure a model from its two tables, masked and unmasked, and say on what."""
    counts = pd.Series(training_counts[1:], index=external_ids(item_index)[1:])
    figures = measure(
        ranks, recommendations, counts, evaluation.bootstrap_resamples, evaluation.seed
    )
    return figures | {
        "measured_on": {
            "test_rows": len(ranks), "items": len(counts), "mark_of_rows": mark_of_rows(ranks),
        }
    }  # fmt: skip


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


def check_network(
    network: RecurrentNetwork, item_ids: np.ndarray, what: str, pipeline: str
) -> None:
    """Refuse a network that was trained for another catalogue.

    Args:
        network: the network.
        item_ids: shape (items + 1,), external ids by item index.
        what: what the network is called in the message.
        pipeline: what trains it anew.

    Raises:
        InputError: if any index stands for another item.
    """
    if network.item_ids is None or not np.array_equal(network.item_ids, item_ids):
        raise InputError(
            f"{what} was trained for {network.n_items:,} items, and the catalogue of "
            f"{len(item_ids) - 1:,} items is not the same: it grew or shrank since\n"
            f"Run the pipeline {pipeline} again, and those after it"
        )


def reader_of_networks(
    own: dict[str, RecurrentNetwork], seed: int, networks: Networks
) -> ReadNetwork:
    """Make what reads the networks of any seed.

    Args:
        own: those of the run's own seed.
        seed: the run's own.
        networks: what reads each network, by its path within the folder of results.
    """

    def read(model: str, of_seed: int) -> RecurrentNetwork:
        if of_seed == seed and model in own:
            return own[model]
        file = network_file(model, of_seed)
        if file not in networks and model not in own:
            raise InputError(
                f"blend.components: there is no {file}.keras among the trained networks\nPut it "
                "and its .sha256 into the folder of this run in data/06_models, or leave it out"
            )
        if file not in networks:
            raise InputError(
                f"blend.seeds: there is no {model} of seed {of_seed}\nTrain it with "
                f"kedro run --pipelines modelling_{model} --params seed={of_seed} (and the --env "
                "and split of this run), or leave the seed out"
            )
        return networks[file]()

    return read


def count_items(item_index: ir.Table) -> int:
    """Size of the catalogue."""
    return int(item_index.count().to_pyarrow().as_py())


def count_data(sequences: ir.Table, item_index: ir.Table) -> dict[str, int]:
    """Sizes of the data: ``n_users``, ``n_interactions``, ``n_items``."""
    sizes = sequences.aggregate(
        n_users=sequences.user_id.nunique(), n_interactions=sequences.count()
    )
    return {**sizes.to_pyarrow().to_pylist()[0], "n_items": count_items(item_index)}


def external_ids(item_index: ir.Table) -> np.ndarray:
    """External ids by item index, shape (items + 1,); index 0 has none."""
    ordered = item_index.order_by("item_index").to_pyarrow()["item_id"].to_pylist()
    return np.array(["", *ordered], dtype=object)
