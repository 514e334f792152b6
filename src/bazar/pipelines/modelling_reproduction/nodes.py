"""Nodes of the pipeline modelling_reproduction."""

from collections.abc import Iterator

import ibis.expr.types as ir
import numpy as np

from bazar.config.evaluation import EvaluationOptions
from bazar.config.networks import REPRODUCTION_NETWORKS, ModelOptions
from bazar.data.item_index import check_catalogue_size, list_item_ids
from bazar.data.splits import Splits
from bazar.evaluation.results import ModelResults
from bazar.modelling.nodes import Training, evaluate_network, train_model
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.previous_training import PreviousTraining
from bazar.training.warm_start import NetworkState


def train_model_i(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    classifier: ModelOptions,
    seed: int,
    previous_training: PreviousTraining,
) -> tuple[NetworkState, Training]:
    """Train Model I of the original study, an LSTM classifier over item ids.

    Returns:
        The network with the state of its optimizer, and the facts and the log of the training.
    """
    return _train(
        "classifier", splits, item_index, item_vectors, classifier, seed, previous_training
    )


def train_model_ii(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    regressor: ModelOptions,
    seed: int,
    previous_training: PreviousTraining,
) -> tuple[NetworkState, Training]:
    """Train Model II of the original study, a GRU–LSTM–GRU regressor over title vectors.

    Returns:
        The network with the state of its optimizer, and the facts and the log of the training.
    """
    return _train("regressor", splits, item_index, item_vectors, regressor, seed, previous_training)


def evaluate_reproduction(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    model_i: RecurrentNetwork,
    model_i_training: Training,
    model_ii: RecurrentNetwork,
    model_ii_training: Training,
    evaluation: EvaluationOptions,
) -> Iterator[dict[str, ModelResults]]:
    """Evaluate both networks on the test part.

    Yields:
        The results of one model, by its name.
    """
    for network, training in ((model_i, model_i_training), (model_ii, model_ii_training)):
        yield evaluate_network(splits, item_index, item_vectors, network, training, evaluation)


def _train(
    options_of: str,
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    options: ModelOptions,
    seed: int,
    previous_training: PreviousTraining,
) -> tuple[NetworkState, Training]:
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    network = REPRODUCTION_NETWORKS[options_of]
    return train_model(
        network,
        network,
        options.networks[network],
        splits,
        list_item_ids(item_index),
        item_vectors,
        seed,
        previous_training.get_checkpoint(network),
    )
