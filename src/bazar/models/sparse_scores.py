"""The highest values of sparse scores.

This module does not import TensorFlow.
"""

import numpy as np
from scipy import sparse


def find_highest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the ``k`` highest values. Equal values are taken in their order.

    Args:
        values: shape (any,), float.
        k: number of positions, at least 1.

    Returns:
        Shape (at most k,), int64, in no order.
    """
    if len(values) <= k:
        return np.arange(len(values))
    lowest = np.partition(values, -k)[-k]
    above = np.flatnonzero(values > lowest)
    return np.concatenate([above, np.flatnonzero(values == lowest)[: k - len(above)]])


def keep_highest(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return the ``k`` highest values of each row. Equal values are taken in column order."""
    scores.sort_indices()
    kept = [
        start + np.sort(find_highest(scores.data[start:stop], k))
        for start, stop in zip(scores.indptr[:-1], scores.indptr[1:], strict=True)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(positions) for positions in kept])])
    positions = np.concatenate([*kept, np.empty(0, np.int64)]).astype(np.int64)
    entries = (scores.data[positions], scores.indices[positions], indptr)
    return sparse.csr_array(entries, scores.shape)
