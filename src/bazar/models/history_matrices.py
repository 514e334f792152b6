"""Histories as sparse matrices of rows and items.

The items of one order have equal weights: the order of the lines within an order has no effect.
This module does not import TensorFlow.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from bazar.data.windows import Windows
from bazar.models.histories import list_order_items, split_by_size


def build_history_matrix(
    windows: Windows, size: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_array:
    """Return the weights of the items of each history.

    Args:
        windows: the rows.
        size: number of items + 1.
        weigh: function of ages in orders, float64, that returns their weights. The age is 0 for the
            last order.

    Returns:
        Shape (rows, size), float32. The weights of an item that occurs in several orders are
        summed.
    """
    rows, items, ages = list_order_items(windows)
    weights = weigh(ages.astype(np.float64)).astype(np.float32)
    return sparse.coo_array((weights, (rows, items)), (len(windows), size)).tocsr()


def build_target_matrix(windows: Windows, size: int) -> sparse.csr_array:
    """Return the binary matrix of rows and their targets, shape (rows, size), float32."""
    rows, items = windows.list_targets()
    entries = (np.ones(len(rows), np.float32), (rows, items))
    return sparse.coo_array(entries, (len(windows), size)).tocsr()


def count_pairs(
    train: Windows, size: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_array:
    """Return the sums of the weights of all pairs of a history item and a target of its row.

    Args:
        train: the rows.
        size: number of items + 1.
        weigh: function of distances in orders that returns their weights, both float64. Two
            consecutive orders have the distance 1.

    Returns:
        Shape (size, size), float32; rows are history items, columns are targets.
    """
    pairs = sparse.csr_array((size, size), dtype=np.float32)
    for rows in split_by_size(train.lengths * train.n_targets):
        batch = train.slice_rows(rows.start, rows.stop)
        histories = build_history_matrix(batch, size, lambda ages: weigh(ages + 1))
        pairs = pairs + histories.T @ build_target_matrix(batch, size)
    return sparse.csr_array(pairs)
