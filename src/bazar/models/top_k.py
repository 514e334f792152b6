"""Selection of the items with the highest scores. This module uses only NumPy."""

import math

import numpy as np


def select_top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best items of each row. Items with equal scores are in index order.

    Args:
        scores: shape (rows, items + 1), float32; ``-inf`` excludes an item. Column 0 (padding) is
            never selected.
        k: number of items per row.

    Returns:
        Item indices in order, shape (rows, k), int64, padded with 0; and their scores, shape
        (rows, k), float32, padded with ``-inf``.

    Raises:
        ValueError: if a score is NaN.
    """
    item_scores = scores[:, 1:]
    positions = find_top_positions(item_scores, k)
    values = np.take_along_axis(item_scores, positions, axis=1)
    return fill_top_k(np.where(np.isneginf(values), 0, positions + 1), values, k)


def find_top_positions(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns with the highest values of each row. Equal values are in column order.

    Args:
        values: shape (rows, columns), float.
        k: number of columns per row.

    Returns:
        Shape (rows, k), or (rows, columns) if there are fewer than ``k`` columns, int64.

    Raises:
        ValueError: if a value is NaN.
    """
    n_columns = values.shape[1]
    k = min(k, n_columns)
    found = np.empty((len(values), k), np.int64)
    if k == 0:
        return found
    # The k highest block maxima are k values of the row. Therefore a value below all of them is not
    # among the k highest values. With two blocks per value of the result, few candidates remain.
    n_blocks = min(n_columns, max(2 * k, math.isqrt(n_columns)))
    block_starts = np.arange(n_blocks) * n_columns // n_blocks
    for position, row in enumerate(values):
        maxima = np.maximum.reduceat(row, block_starts)
        if np.isnan(maxima.max()):
            raise ValueError("A score is NaN: the training of the model diverged.")
        threshold = np.partition(maxima, -k)[-k]
        candidates = np.flatnonzero(row >= threshold)
        found[position] = candidates[np.argsort(-row[candidates], kind="stable")[:k]]
    return found


def fill_top_k(items: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return lists of items, truncated or padded to ``k`` columns.

    Args:
        items: item indices, shape (rows, any), int64, padded with 0.
        scores: the same shape.
        k: number of columns of the result.

    Returns:
        Item indices, shape (rows, k), padded with 0; and scores, the same shape, float32, ``-inf``
        where the index is 0.
    """
    missing = max(0, k - items.shape[1])
    items = np.pad(items[:, :k], ((0, 0), (0, missing)))
    scores = np.pad(scores[:, :k], ((0, 0), (0, missing)), constant_values=-np.inf)
    return items, np.where(items == 0, -np.inf, scores).astype(np.float32)
