"""Purity of neighbourhoods: whether items with similar vectors have the same label."""

import numpy as np

from bazar.data.vector_search import CosineIndex


def find_neighbours(vectors: np.ndarray, k: int) -> np.ndarray:
    """Find the nearest other items of each item by cosine.

    Items with equal cosines come in ascending order.

    Args:
        vectors: shape (items, dimension), float, unit vectors.
        k: number of neighbours of each item; all other items if there are fewer.

    Returns:
        Shape (items, min(k, items - 1)), int64: rows of ``vectors``, the nearest first.

    Raises:
        ValueError: if there are fewer than two items.
    """
    n_items = len(vectors)
    _check_item_count(n_items)
    k = min(k, n_items - 1)
    # Row 0 of an index is padding, so that items are numbered from 1.
    padded = np.concatenate([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float32)
    items, cosines = CosineIndex(padded).search(padded[1:], k + 1)
    items -= 1
    order = np.lexsort((items, -cosines), axis=1)
    items = np.take_along_axis(items, order, axis=1)
    # Leave out the item itself. If it is not among the k + 1 found because more than k others have
    # the same vector, leave out the last.
    is_other = items != np.arange(n_items)[:, None]
    is_other[is_other.all(axis=1), -1] = False
    return items[is_other].reshape(n_items, k)


def compute_own_shares(neighbours: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the share of each item's neighbours that have the item's own label.

    Args:
        neighbours: shape (items, k), int: output of :func:`find_neighbours`.
        labels: shape (items,), such as categories.

    Returns:
        Shape (items,), float64, from 0 to 1.
    """
    return (labels[neighbours] == labels[:, None]).mean(axis=1)


def compute_chance_shares(labels: np.ndarray) -> np.ndarray:
    """Compute the expected result of :func:`compute_own_shares` for randomly assigned labels.

    If ``n`` items have the label of an item, ``(n - 1) / (items - 1)`` of the other items have it.
    The mean over items is close to the sum of the squared shares of the labels.

    Args:
        labels: shape (items,), of two items or more.

    Returns:
        Shape (items,), float64: the expected share of each item, given its label.

    Raises:
        ValueError: if there are fewer than two items.
    """
    _check_item_count(len(labels))
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (counts[codes] - 1) / (len(labels) - 1)


def _check_item_count(n_items: int) -> None:
    if n_items < 2:
        raise ValueError(f"Neighbours need at least 2 items, got {n_items}.")
