"""Purity of neighbourhoods: whether items with similar vectors have the same label."""

import numpy as np

from bazar.data.vector_search import CosineIndex


def find_neighbours(vectors: np.ndarray, k: int) -> np.ndarray:
    """Return the nearest neighbours of each item by cosine similarity.

    Items with equal cosines are in ascending order.

    Args:
        vectors: shape (items, dimension), float, unit vectors.
        k: number of neighbours of each item. If there are fewer other items, all are returned.

    Returns:
        Shape (items, min(k, items - 1)), int64: rows of ``vectors``, the nearest first.

    Raises:
        ValueError: if there are fewer than two items.
    """
    n_items = len(vectors)
    _check_item_count(n_items)
    k = min(k, n_items - 1)
    # Row 0 of an index is padding. Items are numbered from 1.
    padded = np.concatenate([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float32)
    items, cosines = CosineIndex(padded).search(padded[1:], k + 1)
    items -= 1
    order = np.lexsort((items, -cosines), axis=1)
    items = np.take_along_axis(items, order, axis=1)
    # Remove the item itself. If more than k other items have the same vector, it may not be among
    # the k + 1 results. Then remove the last result.
    is_other = items != np.arange(n_items)[:, None]
    is_other[is_other.all(axis=1), -1] = False
    return items[is_other].reshape(n_items, k)


def compute_own_shares(neighbours: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share of neighbours that have the same label as the item, for each item.

    Args:
        neighbours: shape (items, k), int: the result of :func:`find_neighbours`.
        labels: shape (items,), such as categories.

    Returns:
        Shape (items,), float64, from 0 to 1.
    """
    return (labels[neighbours] == labels[:, None]).mean(axis=1)


def compute_chance_shares(labels: np.ndarray) -> np.ndarray:
    """Return the expected result of :func:`compute_own_shares` for randomly assigned labels.

    If ``n`` items have the label of an item, the share of the other items with this label is
    ``(n - 1) / (items - 1)``. The mean over items is close to the sum of the squared shares of the
    labels.

    Args:
        labels: shape (items,), at least two items.

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
        raise ValueError(f"At least 2 items are needed to find neighbours, got {n_items}.")
