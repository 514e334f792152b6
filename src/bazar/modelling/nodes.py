"""Node functions that several modelling pipelines share."""

import logging
from collections.abc import Callable
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.evaluation import EvaluationOptions
from bazar.config.networks import REPRODUCTION_NETWORKS, ModelOptions, NetworkBlock
from bazar.data.item_index import check_catalogue_size, list_item_ids, read_item_texts
from bazar.data.item_words import ItemTexts
from bazar.data.splits import Splits
from bazar.evaluation.evaluate import evaluate_scorer
from bazar.evaluation.results import ModelResults
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.models.networks.vocabulary import check_network_items
from bazar.training.checkpoints import Checkpoint
from bazar.training.previous_training import PreviousTraining
from bazar.training.trainer import train_network
from bazar.training.warm_start import NetworkState, WarmStart, make_warm_start

logger = logging.getLogger(__name__)

Training = dict[str, Any]
"""``model`` (name), ``facts`` of the training, and ``log`` (a list with one row per epoch)."""


def train_model(
    model: str,
    network: str,
    block: NetworkBlock,
    splits: Splits,
    item_ids: np.ndarray,
    item_vectors: np.ndarray,
    seed: int,
    checkpoint: Checkpoint,
    warm_start: WarmStart | None = None,
    texts: ItemTexts | None = None,
) -> tuple[NetworkState, Training]:
    """Train one network.

    Args:
        model: name of the model, such as ``classifier``.
        network: name of the network, such as ``bazar``.
        block: the network and its training.
        splits: the rows to train and validate on.
        item_ids: shape (items + 1,), external ids by item index.
        item_vectors: shape (items + 1, dimension), float32, zeros where an item has no title.
        seed: seed of the training.
        checkpoint: the training saves its state there after each epoch, and resumes from it.
        warm_start: initial weights. None: random weights.
        texts: titles and attributes of the items; a network with ``words`` needs them.

    Returns:
        The network with the state of its optimizer, and the facts and the log of the training.
    """
    trained = train_network(
        splits.train,
        splits.validation,
        block,
        len(item_ids) - 1,
        seed,
        item_vectors,
        checkpoint,
        warm_start=warm_start,
        filter_seen=splits.filter_seen,
        texts=texts,
    )
    trained.network.item_ids = item_ids
    if block.needs_vectors:
        trained.network.record_vector_samples(item_vectors)
    facts = trained.facts | {"network": network, "description": describe_training(network, block)}
    log = trained.training_log.to_dict("records")
    return trained.state, {"model": model, "facts": facts, "log": log}


def load_warm_start(
    model: str,
    previous_training: PreviousTraining,
    item_ids: np.ndarray,
    texts: ItemTexts,
    optimizer: str,
) -> WarmStart | None:
    """Return the weights of the last training, or None if the model was never trained.

    Args:
        model: name of the model.
        previous_training: networks and checkpoints of earlier runs.
        item_ids: shape (items + 1,), external ids by item index of the current catalogue.
        texts: the texts of these items.
        optimizer: name of the optimizer of the new training.
    """
    state = previous_training.load_network(model)
    if state is None:
        logger.warning("warm start: %s was never trained. Training starts from scratch.", model)
        return None
    logger.info("warm start: training continues from the last weights of %s", model)
    return make_warm_start(state, item_ids, optimizer, texts)


def make_training_function(model: str) -> Callable[..., tuple[NetworkState, Training]]:
    """Return a node function that trains the selected network of a model.

    Args:
        model: name of the model, ``classifier`` or ``regressor``.
    """

    def train(
        splits: Splits,
        item_index: ir.Table,
        item_vectors: np.ndarray,
        products: ir.Table,
        options: ModelOptions,
        seed: int,
        warm_start: bool,
        previous_training: PreviousTraining,
    ) -> tuple[NetworkState, Training]:
        """Train the selected network; see :func:`train_model`."""
        check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
        item_ids, texts = list_item_ids(item_index), read_item_texts(products, item_index)
        start, block = None, options.block
        if warm_start:
            optimizer = block.training.optimizer
            start = load_warm_start(model, previous_training, item_ids, texts, optimizer)
        return train_model(
            model,
            options.network,
            block if start is None else block.warm_start_block,
            splits,
            item_ids,
            item_vectors,
            seed,
            previous_training.get_checkpoint(model),
            start,
            texts,
        )

    return train


def evaluate_network(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    network: RecurrentNetwork,
    training: Training,
    evaluation: EvaluationOptions,
) -> dict[str, ModelResults]:
    """Evaluate a trained network on the test part.

    Returns:
        The results by the name of the model.
    """
    model, item_ids = training["model"], list_item_ids(item_index)
    pipeline = (
        "modelling_reproduction"
        if model in REPRODUCTION_NETWORKS.values()
        else f"modelling_{model}"
    )
    check_network_items(network, item_ids, f"the {model}", pipeline)
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    scorer = make_scorer(network, item_vectors)
    log = pd.DataFrame(training["log"])
    return {model: evaluate_scorer(scorer, splits, item_ids, evaluation, training["facts"], log)}


def describe_training(network: str, block: NetworkBlock) -> str:
    """Return the loss, optimizer, epochs and batch size of a network as one line of text."""
    training = block.training
    return (
        f"network {network}: {training.loss}, {training.optimizer} {training.learning_rate:g}, "
        f"up to {training.epochs} epochs, batch {training.batch_size}"
    )
