"""Whether what stands close together in a space of vectors is alike in something else."""

import numpy as np

# Bounds the memory to this times the number of items.
_ROWS_AT_A_TIME = 1024


def nearest(vectors: np.ndarray, k: int) -> np.ndarray:
    """Find the nearest of each item by cosine, itself left out, equals in order of their place.

    Args:
        vectors: shape (items, dimension), float, of length 1.
        k: how many of each; all others where there are fewer.

    Returns:
        Shape (items, min(k, items - 1)), int64: places of items, the nearest first.

    Raises:
        ValueError: if there are fewer than two items.
    """
    if len(vectors) < 2:
        raise ValueError(f"neighbours need two items or more, there are {len(vectors)}")
    found = []
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        cosines = vectors[start : start + _ROWS_AT_A_TIME] @ vectors.T
        # By place, not as the first that is found: a twin is as near as the item itself.
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        found.append(np.argsort(-cosines, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)])
    return np.concatenate(found)


def compute_own_shares(neighbours: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each item's neighbours that have its own label: how pure its neighbourhood is.

    Args:
        neighbours: shape (items, k), int: what :func:`nearest` gave.
        labels: shape (items,), such as categories.

    Returns:
        Shape (items,), float64, from 0 to 1.
    """
    return (labels[neighbours] == labels[:, None]).mean(axis=1)


def compute_chance_shares(labels: np.ndarray) -> np.ndarray:
    """Give what :func:`compute_own_shares` is on average if labels are dealt out by chance.

    Of the other items, ``(n - 1) / (items - 1)`` have the label of an item whose label ``n`` items
    have. The mean over items is close to the sum of the squared shares of the labels.

    Args:
        labels: shape (items,), of two items or more.

    Returns:
        Shape (items,), float64: the chance of each item, given its label.

    Raises:
        ValueError: if there are fewer than two items.
    """
    if len(labels) < 2:
        raise ValueError(f"neighbours need two items or more, there are {len(labels)}")
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (counts[codes] - 1) / (len(labels) - 1)
