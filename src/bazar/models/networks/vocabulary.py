"""Recurrent networks, built from their description in YAML.

A network reads a history in three steps: every item becomes a vector (:meth:`represent`), layers
go over the vectors in time (:meth:`read`), and a head turns what was read into scores
(:meth:`score`). Histories stand at the front of their rows, padded with 0 at the back: what comes
after a step changes nothing before it, so that no step needs a mask, and one pass over a sequence
serves as many targets as it has steps.
"""

from typing import Any

import keras
import numpy as np

from bazar.errors import InputError
from bazar.models.networks.recurrent import RecurrentNetwork


def remap_network(network: RecurrentNetwork, item_ids: np.ndarray) -> RecurrentNetwork:
    """Make the same network for a catalogue that grew, shrank, or was numbered anew.

    What was learned of an item goes with its id. A new item is one that the network was never
    shown: its learned vector, the mean of the others, is not read before it is trained; its title
    is. A ``softmax`` gives it the score of the item that it gives the least to.

    Args:
        network: trained, with its ``item_ids``.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        The network itself where the catalogue is the same; else another.
    """
    assert network.item_ids is not None
    if np.array_equal(network.item_ids, item_ids):
        return network
    places = find_item_positions(network, item_ids)
    grown = RecurrentNetwork(
        network.options.model_dump(mode="json"), len(item_ids) - 1, network.vector_dimension
    )
    grown.item_ids, grown.vector_samples = item_ids, network.vector_samples
    for old, new in zip(network.weights, grown.weights, strict=True):
        values, axis = old.numpy(), get_item_axis(grown, new)
        if axis is not None:
            of_new: Any = 0
            if grown.item_embedding is not None and new is grown.item_embedding.embeddings:
                of_new = mean_over_training_items(network, values, axis)
            elif new is grown.head.bias:
                of_new = values.min()
            values = remap_items(values, axis, places, of_new)
        new.assign(values)
    return grown


def find_item_positions(network: RecurrentNetwork, item_ids: np.ndarray) -> np.ndarray:
    """Find the items of a catalogue in that of a network.

    Args:
        network: with its ``item_ids``.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        Shape (items + 1,), item indices of the network, -1 of those that it does not have.
    """
    assert network.item_ids is not None
    place = {item_id: index for index, item_id in enumerate(network.item_ids)}
    return np.array([place.get(item_id, -1) for item_id in item_ids])


def get_item_axis(network: RecurrentNetwork, weight: keras.Variable) -> int | None:
    """Tell which axis of a weight of a network counts items; None where none does."""
    if weight is network.in_training:
        return 0
    if network.item_embedding is not None and weight is network.item_embedding.embeddings:
        return 0
    if network.options.head == "softmax":
        if weight is network.head.bias:
            return 0
        if weight is network.head.kernel:
            return 1
    return None


def mean_over_training_items(
    network: RecurrentNetwork, values: np.ndarray, axis: int
) -> np.ndarray:
    """Mean of values over the items that the network was shown, the shape without the axis."""
    return np.moveaxis(values, axis, 0)[np.asarray(network.in_training) > 0].mean(axis=0)


def remap_items(values: np.ndarray, axis: int, places: np.ndarray, of_new: Any) -> np.ndarray:
    """Put what belongs to items in the order of another catalogue.

    Args:
        values: float32.
        axis: which axis counts items.
        places: shape (items + 1,), where each is in ``values``; -1 where it is not.
        of_new: what an item gets that is not, of the shape of one item's values or a number.

    Returns:
        The shape of ``values``, but items + 1 long along the axis.
    """
    of_items = np.moveaxis(values, axis, 0)
    moved = np.empty((len(places), *of_items.shape[1:]), values.dtype)
    moved[:] = of_new
    moved[places >= 0] = of_items[places[places >= 0]]
    return np.moveaxis(moved, 0, axis)


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
