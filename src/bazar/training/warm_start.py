"""Warm starts: training that continues from the weights of an earlier training."""

import logging
from dataclasses import dataclass

import keras
import numpy as np

from bazar.data.item_words import ItemTexts
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import (
    average_training_items,
    find_item_axis,
    find_item_positions,
    remap_items,
    remap_network,
)
from bazar.training.optimizer_files import OptimizerState

logger = logging.getLogger(__name__)

# An optimizer's first variables are its step count and its learning rate. The others belong to the
# weights of the network.
_N_GLOBAL_VARIABLES = 2


@dataclass(frozen=True)
class NetworkState:
    """A trained network, and the state of the optimizer that trained it.

    Attributes:
        network: the network.
        optimizer: the state of the optimizer; None if it is not known.
    """

    network: RecurrentNetwork
    optimizer: OptimizerState | None = None


@dataclass(frozen=True)
class WarmStart:
    """The state from which a training starts.

    Attributes:
        network: the network whose weights the training starts from.
        optimizer_variables: the variables of the optimizer; None to start without them. The first
            steps of Adam then have the same size in all directions, and undo a part of the earlier
            training.
    """

    network: RecurrentNetwork
    optimizer_variables: list[np.ndarray] | None = None


def make_warm_start(
    state: NetworkState,
    item_ids: np.ndarray,
    optimizer_name: str,
    texts: ItemTexts | None = None,
) -> WarmStart:
    """Make a warm start for a catalogue whose items may have changed.

    The optimizer variables of a new item are the means over the items that occur in training. Zeros
    would make the first steps too large.

    Args:
        state: the trained network, with its ``item_ids``, and its optimizer.
        item_ids: shape (items + 1,), external ids by item index.
        optimizer_name: optimizer of the training that starts. The state of another optimizer is not
            used: a warning is logged.
        texts: the texts of these items; required if the network has ``words``.

    Returns:
        The network and the optimizer variables for the given catalogue.
    """
    network = remap_network(state.network, item_ids, texts)
    variables = _select_variables(state.optimizer, optimizer_name)
    if variables is None or network is state.network:
        return WarmStart(network, variables)
    positions = find_item_positions(state.network, item_ids)
    weights = network.trainable_variables
    weight_variables = variables[_N_GLOBAL_VARIABLES:]
    # Keras keeps the variables of one weight together: momentum and velocity of the first weight,
    # then those of the second, and so on.
    per_weight = len(weight_variables) // len(weights)

    def remap(values: np.ndarray, weight: keras.Variable) -> np.ndarray:
        axis = find_item_axis(network, weight)
        if axis is None:
            return values
        new_values = average_training_items(state.network, values, axis)
        return remap_items(values, axis, positions, new_values)

    remapped = [
        remap(values, weights[index // per_weight]) for index, values in enumerate(weight_variables)
    ]
    return WarmStart(network, [*variables[:_N_GLOBAL_VARIABLES], *remapped])


def _select_variables(state: OptimizerState | None, name: str) -> list[np.ndarray] | None:
    if state is not None and state.name == name:
        return list(state.variables)
    found = "is not available" if state is None else f"is of {state.name}"
    logger.warning(
        "Warm start: the optimizer state of the earlier training %s. %s starts without it, and the "
        "network may become slightly worse.",
        found,
        name,
    )
    return None
