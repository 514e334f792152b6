"""Histories of all orders of a user, and the items of each order.

This module imports neither TensorFlow nor SciPy.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from bazar.data.seen_items import MAX_INTERACTIONS
from bazar.data.windows import Windows, build_full_histories

MAX_PAIRS = 5_000_000
"""Maximum number of pairs in memory: pairs of items, or pairs of a history and a neighbour."""


def list_order_items(windows: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the items of the orders in the histories. Each order has an item once.

    Returns:
        Row numbers, item indices and ages in orders, three arrays of the same length, integers,
        sorted by row number, then from the oldest to the last order. The age is 0 for the last
        order before the targets.
    """
    rows, items, ages = windows.list_history()
    if windows.sequences.orders is None:
        return rows, items, ages
    n_ages, n_items = int(ages.max(initial=0)) + 1, int(items.max(initial=0)) + 1
    keys = np.unique((rows * n_ages + (n_ages - 1 - ages)) * n_items + items)
    order_keys, items = np.divmod(keys, n_items)
    rows, numbers = np.divmod(order_keys, n_ages)
    return rows, items, n_ages - 1 - numbers


def read_all_orders(windows: Windows) -> Windows:
    """Return the rows with histories of all orders, not limited to ``history_length``.

    The latest :data:`bazar.data.seen_items.MAX_INTERACTIONS` orders of a user are read.
    """
    return replace(windows, history_length=MAX_INTERACTIONS)


def build_training_histories(train: Windows) -> Windows:
    """Return one row per customer of the training rows, after the last training order.

    The history of a row contains all training orders of the customer. The time of the request is
    the last training time. Guests, and customers without a training row, have no row.

    Args:
        train: the training rows.
    """
    used = train.sequences.filter(train.mark_used_interactions())
    return read_all_orders(build_full_histories(used, train.history_length))


def split_by_size(sizes: np.ndarray) -> Iterator[slice]:
    """Split rows into slices with about :data:`MAX_PAIRS` pairs each.

    Args:
        sizes: shape (rows,), int, number of pairs of each row. A row is never divided.

    Returns:
        Slices of consecutive rows, at least one.
    """
    parts = np.cumsum(sizes) // MAX_PAIRS
    edges = [0, *(np.flatnonzero(np.diff(parts)) + 1), len(parts)]
    return (slice(start, stop) for start, stop in pairwise(edges))
