"""The template of the modelling pipelines: train, recommend, measure.

It is laid down once per model, under the model's name: ``classifier.network``,
``classifier.ranks``, ``classifier.metrics``.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.networks import REPRODUCED, ModelOptions
from bazar.config.parameters import EvaluationOptions
from bazar.data.item_index import check_size, external_ids
from bazar.data.windows import Windows
from bazar.evaluation.ranking import rank_catalogue
from bazar.evaluation.results import fingerprint_rows, measure, ranks_table, recommendations_table
from bazar.models.networks.files import load_network
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.models.networks.vocabulary import check_network
from bazar.models.scorer import Scorer
from bazar.training.checkpoints import Checkpoint
from bazar.training.trainer import train_network
from bazar.training.warm_start import load_optimizer_state, make_warm_start, save_optimizer_state

logger = logging.getLogger(__name__)

Trained = tuple[RecurrentNetwork, pd.DataFrame, dict[str, Any]]
"""A network, the figures of its epochs, and facts about its training."""


def train_configured_network(
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
        known = load_optimizer_state(optimizer, last, by)
        if known is None:
            logger.warning(
                "warm start: %s is not what %s was at the end of the training of %s; %s begins "
                "anew, and the network may come out less good", optimizer, by, last_network, by,
            )  # fmt: skip
        start = make_warm_start(last, known, item_ids)
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
        trained.network.record_vector_samples(item_vectors)
    yield trained.network, trained.training_log, trained.facts | {"network": options.network}
    save_optimizer_state(optimizer, trained.network, by, trained.optimizer)
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
    """Train the report's network, whichever is chosen; see :func:`train_configured_network`."""
    network = next(name for name in REPRODUCED.values() if name in options.networks)
    chosen = options.model_copy(update={"network": network})
    yield from train_configured_network(
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
        make_scorer(network, item_vectors), test, item_index, training_counts, evaluation
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
    """Measure a model from its two tables, filtered and unfiltered, and say on what."""
    counts = pd.Series(training_counts[1:], index=external_ids(item_index)[1:])
    figures = measure(
        ranks, recommendations, counts, evaluation.bootstrap_resamples, evaluation.seed
    )
    return figures | {
        "measured_on": {
            "test_rows": len(ranks), "items": len(counts), "fingerprint_rows": fingerprint_rows(ranks),
        }
    }  # fmt: skip
