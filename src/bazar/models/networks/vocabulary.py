"""Functions that adapt a trained network to a changed catalogue."""

from typing import Any

import keras
import numpy as np

from bazar.data.item_words import ItemTexts
from bazar.errors import InputError
from bazar.models.networks.recurrent import RecurrentNetwork


def remap_network(
    network: RecurrentNetwork, item_ids: np.ndarray, texts: ItemTexts | None = None
) -> RecurrentNetwork:
    """Return a network for another catalogue, with the learned weights of the given network.

    Items can be added, removed or renumbered. An item keeps its learned weights, because items are
    matched by id. A new item is treated like an item that does not occur in training. Its title is
    used, and those of its words that have a learned vector. Each of its learned vectors starts as
    the mean over the items that occur in training, and is not used until the item is trained. With
    the head
    ``softmax``, a new item gets the lowest bias of all items.

    Args:
        network: a trained network with ``item_ids``.
        item_ids: shape (items + 1,), external ids by item index.
        texts: the texts of these items; required if the network has ``words``.

    Returns:
        The given network if the catalogue is the same, with the words of the texts; else a new
        network.

    Raises:
        ValueError: if the texts are required and missing.
    """
    assert network.item_ids is not None
    if np.array_equal(network.item_ids, item_ids):
        if network.vocabulary is not None:
            network.set_texts(network.vocabulary, texts)
        return network
    positions = find_item_positions(network, item_ids)
    remapped = RecurrentNetwork(
        network.options.model_dump(mode="json"),
        len(item_ids) - 1,
        network.vector_dimension,
        network.n_words,
    )
    if network.vocabulary is not None:
        remapped.set_texts(network.vocabulary, texts)
    remapped.item_ids, remapped.vector_samples = item_ids, network.vector_samples
    for old, new in zip(network.weights, remapped.weights, strict=True):
        values, axis = old.numpy(), find_item_axis(remapped, new)
        if axis is not None:
            new_item_values: Any = 0
            if _is_item_table(remapped, new):
                new_item_values = average_training_items(network, values, axis)
            elif new is remapped.head.bias:
                new_item_values = values.min()
            values = remap_items(values, axis, positions, new_item_values)
        new.assign(values)
    return remapped


def find_item_positions(network: RecurrentNetwork, item_ids: np.ndarray) -> np.ndarray:
    """Return the item index in the network of each item of a catalogue.

    Args:
        network: a network with ``item_ids``.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        Shape (items + 1,): item indices of the network; -1 for an item that the network does not
        have.
    """
    assert network.item_ids is not None
    index = {item_id: item for item, item_id in enumerate(network.item_ids)}
    return np.array([index.get(item_id, -1) for item_id in item_ids])


def find_item_axis(network: RecurrentNetwork, weight: keras.Variable) -> int | None:
    """Return the axis of a weight that has one entry per item; None if there is no such axis."""
    if weight is network.id_weights or _is_item_table(network, weight):
        return 0
    if network.options.head == "softmax":
        if weight is network.head.bias:
            return 0
        if weight is network.head.kernel:
            return 1
    return None


def _is_item_table(network: RecurrentNetwork, weight: keras.Variable) -> bool:
    """Return whether a weight has the learned vectors of all items."""
    layers = (network.item_embedding, network.history_embedding)
    return any(layer is not None and weight is layer.embeddings for layer in layers)


def average_training_items(network: RecurrentNetwork, values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of values over the items that occur in the training part of a network.

    Args:
        network: the network.
        values: an array with one entry per item along an axis.
        axis: the axis of the items.

    Returns:
        The shape of ``values`` without the axis.
    """
    return np.moveaxis(values, axis, 0)[np.asarray(network.id_weights) > 0].mean(axis=0)


def remap_items(
    values: np.ndarray, axis: int, positions: np.ndarray, new_item_values: Any
) -> np.ndarray:
    """Return the values of items in the order of another catalogue.

    Args:
        values: float32, with one entry per item along an axis.
        axis: the axis of the items.
        positions: shape (items + 1,): the index of each item in ``values``; -1 for a new item.
        new_item_values: the values of a new item: a number, or an array of the shape of
            ``values`` without the axis.

    Returns:
        The shape of ``values``, with items + 1 entries along the axis.
    """
    by_item = np.moveaxis(values, axis, 0)
    remapped = np.empty((len(positions), *by_item.shape[1:]), values.dtype)
    remapped[:] = new_item_values
    is_old = positions >= 0
    remapped[is_old] = by_item[positions[is_old]]
    return np.moveaxis(remapped, 0, axis)


def check_network_items(
    network: RecurrentNetwork, item_ids: np.ndarray, name: str, pipeline: str
) -> None:
    """Raise InputError if a network was trained for another catalogue.

    Args:
        network: the network.
        item_ids: shape (items + 1,), external ids by item index.
        name: name of the network in the message, such as ``the classifier of seed 42``.
        pipeline: the pipeline that trains it.

    Raises:
        InputError: if the item ids of the network and of the catalogue differ.
    """
    if network.item_ids is None or not np.array_equal(network.item_ids, item_ids):
        raise InputError(
            f"{name[:1].upper()}{name[1:]} was trained for another catalogue: it knows "
            f"{network.n_items:,} items, the catalogue has {len(item_ids) - 1:,}, and their ids or "
            f"their order differ. Run the pipeline {pipeline} again, then the pipelines that "
            "depend on it."
        )
