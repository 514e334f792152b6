"""Ranking the full catalogue for rows of any number, a batch at a time."""

import math

import numpy as np
import tensorflow as tf


def select_top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the best of scored items, equal scores in order of their index.

    Args:
        scores: shape (rows, items + 1), float32, ``-inf`` where an item is not to be found. Column
            0 means nothing.
        k: items per row.

    Returns:
        Item indices in order, shape (rows, k), int64, 0 where there are no more, and scores, the
        same shape, float32.
    """
    items = scores[:, 1:]
    k_found = min(k, items.shape[1])
    if len(items) == 1:
        places = _select_top_k_of_row(items[0], k_found)[None]
        values = np.take_along_axis(items, places, axis=1)
    else:
        best = tf.math.top_k(items, k_found)
        values, places = (found.numpy() for found in best)
    places = np.where(np.isneginf(values), 0, places.astype(np.int64) + 1)
    return _padded(places, values, k)


def _select_top_k_of_row(row: np.ndarray, k: int) -> np.ndarray:
    """Places of the k highest, equal ones in order of their place, in one fast look at the row.

    The k highest maxima of blocks are k values of the row: what is below them all is not among its
    k highest.
    """
    n_blocks = max(k, math.isqrt(len(row)))
    maxima = np.maximum.reduceat(row, np.arange(n_blocks) * len(row) // n_blocks)
    least = np.partition(maxima, -k)[-k]
    places = np.flatnonzero(row >= least)
    return places[np.argsort(-row[places], kind="stable")[:k]]


def _padded(items: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    missing = max(0, k - items.shape[1])
    items = np.pad(items[:, :k], ((0, 0), (0, missing)))
    scores = np.pad(scores[:, :k], ((0, 0), (0, missing)), constant_values=-np.inf)
    return items, np.where(items == 0, -np.inf, scores).astype(np.float32)
