"""Going on from where the last training ended: its weights, and what its optimizer knew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import (
    find_item_positions,
    get_item_axis,
    mean_over_training_items,
    remap_items,
    remap_network,
)
from bazar.training.checkpoints import Checkpoint, fingerprint

# Before what an optimizer keeps of each weight stand its count of steps and its learning rate.
_OF_NO_WEIGHT = 2


@dataclass(frozen=True)
class Start:
    """What a training goes on from.

    Attributes:
        network: its weights are gone on from.
        optimizer: the optimizer's variables, as :class:`~bazar.training.TrainedNetwork` has them;
            None where they are not known: it begins anew. Without them the first steps of Adam are
            as large in every direction, and undo some of what was learned.
    """

    network: RecurrentNetwork
    optimizer: list[np.ndarray] | None = None


def make_warm_start(
    network: RecurrentNetwork, optimizer: Sequence[np.ndarray] | None, item_ids: np.ndarray
) -> Start:
    """Make a start for a catalogue that grew, shrank, or was numbered anew.

    Of a new item an optimizer takes the mean of what it keeps of the others: by zeros it would take
    its first steps too far.

    Args:
        network: trained, with its ``item_ids``.
        optimizer: the variables of its optimizer, or None.
        item_ids: shape (items + 1,), external ids by item index.
    """
    grown = remap_network(network, item_ids)
    if optimizer is None or grown is network:
        return Start(grown, None if optimizer is None else list(optimizer))
    places = find_item_positions(network, item_ids)
    weights = grown.trainable_variables
    kept = optimizer[_OF_NO_WEIGHT:]
    # Keras puts what is kept of one weight side by side: momentum and velocity of the first, ...
    per_weight = len(kept) // len(weights)

    def move(values: np.ndarray, weight: keras.Variable) -> np.ndarray:
        axis = get_item_axis(grown, weight)
        if axis is None:
            return values
        return remap_items(values, axis, places, mean_over_training_items(network, values, axis))

    moved = [move(values, weights[place // per_weight]) for place, values in enumerate(kept)]
    return Start(grown, [*optimizer[:_OF_NO_WEIGHT], *moved])


def save_optimizer_state(
    path: Path, network: RecurrentNetwork, name: str, variables: list[np.ndarray]
) -> None:
    """Write what an optimizer knows at the end of a training, for the next one.

    Args:
        path: the file, replaced as a whole.
        network: what was trained, with the weights that are kept.
        name: of the optimizer.
        variables: its variables.
    """
    Checkpoint(path).save(_mark(network, name), variables, {})


def load_optimizer_state(
    path: Path, network: RecurrentNetwork, name: str
) -> list[np.ndarray] | None:
    """Read what an optimizer knew at the end of the training of a network.

    Args:
        path: the file; it need not exist.
        network: the network, as it was read from its file.
        name: of the optimizer that is to go on.

    Returns:
        Its variables; None if there is no file, or it is of another network or optimizer.
    """
    found = Checkpoint(path).load(_mark(network, name))
    return None if found is None else found[0]


def _mark(network: RecurrentNetwork, name: str) -> str:
    weights = [weight.numpy() for weight in network.weights]
    return fingerprint(network.options, 0, [*weights, np.array(name)])
