"""How often, and how long ago, each user bought each item before a request."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bazar.data.sequences import DAY_MS
from bazar.data.windows import Windows

MAX_INTERACTIONS = 2_000
"""Maximum number of interactions of a user that are read; the latest orders are kept. A last order
with more interactions is read completely."""


@dataclass(frozen=True)
class SeenItems:
    """The items that users bought before the targets of their rows.

    Each array has one value per pair of a row and an item. Times are in days before the request.
    Without timestamps, one order is one day, and the request is one day after the last order.

    Attributes:
        rows: shape (pairs,), int64, ascending row numbers.
        items: shape (pairs,), int32, item indices, ascending within a row, each once.
        counts: shape (pairs,), int64, number of orders with the item.
        first_days: shape (pairs,), float64, days since the first purchase of the item.
        last_days: shape (pairs,), float64, days since the last purchase of the item.
        orders_since: shape (pairs,), int64, number of orders after the last one with the item.
        n_orders: shape (pairs,), int64, number of the user's orders before the targets.
    """

    rows: np.ndarray
    items: np.ndarray
    counts: np.ndarray
    first_days: np.ndarray
    last_days: np.ndarray
    orders_since: np.ndarray
    n_orders: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def mean_gaps(self) -> np.ndarray:
        """Mean number of days between purchases of the item, shape (pairs,), float64.

        NaN if the item was bought in a single order.
        """
        is_repeated = self.counts > 1
        gaps = np.full(len(self), np.nan)
        spans = self.first_days[is_repeated] - self.last_days[is_repeated]
        gaps[is_repeated] = spans / (self.counts[is_repeated] - 1)
        return gaps

    def filter(self, keep: np.ndarray) -> Self:
        """Return the pairs for which ``keep``, shape (pairs,), bool, is true."""
        return type(self)(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def list_seen_items(windows: Windows) -> SeenItems:
    """List the items that were bought before the targets of each row.

    All orders before the targets count, not only those of the history. Of a user with more than
    :data:`MAX_INTERACTIONS` interactions, the latest complete orders are read, at least the
    last one.

    Args:
        windows: the rows.
    """
    sequences = windows.sequences
    target_orders = sequences.number_orders(windows.target_positions)
    first = _find_first_positions(windows)
    counts = windows.target_positions - first
    rows = np.repeat(np.arange(len(windows)), counts)
    ends = np.repeat(np.cumsum(counts), counts)
    positions = windows.target_positions[rows] - (ends - np.arange(len(rows)))
    items = sequences.items[positions]
    orders = sequences.number_orders(positions)
    # Interactions of a row and an item are together, in order of time.
    order = np.lexsort((positions, items, rows))
    rows, items, orders, positions = rows[order], items[order], orders[order], positions[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (np.diff(rows) != 0) | (np.diff(items) != 0)
    is_new_order = is_first.copy()
    is_new_order[1:] |= np.diff(orders) != 0
    begins = np.flatnonzero(is_first)
    lasts = np.append(begins, len(rows))[1:] - 1
    n_orders = target_orders - sequences.number_orders(first)
    pair_rows = rows[begins]
    days = _compute_days(windows, target_orders, rows, orders, positions)
    return SeenItems(
        rows=pair_rows,
        items=items[begins],
        counts=np.add.reduceat(is_new_order, begins, dtype=np.int64) if len(begins) else begins,
        first_days=days[begins],
        last_days=days[lasts],
        orders_since=target_orders[pair_rows] - 1 - orders[lasts],
        n_orders=n_orders[pair_rows],
    )


def _find_first_positions(windows: Windows) -> np.ndarray:
    """Return the first position that is read for each row, shape (rows,), int64."""
    sequences = windows.sequences
    starts = sequences.starts[windows.users]
    limits = windows.target_positions - MAX_INTERACTIONS
    if sequences.orders is None:
        return np.maximum(starts, limits)
    is_cut = limits > starts
    # The first order that is complete. The last order is read even if it is larger.
    before = sequences.number_orders(np.maximum(limits - 1, 0))
    last = sequences.number_orders(windows.target_positions) - 1
    return np.where(is_cut, sequences.find_order_starts(np.minimum(before + 1, last)), starts)


def _compute_days(
    windows: Windows,
    target_orders: np.ndarray,
    rows: np.ndarray,
    orders: np.ndarray,
    positions: np.ndarray,
) -> np.ndarray:
    """Return the days from each interaction to the request of its row, float64."""
    times, requests = windows.sequences.timestamps, windows.request_times
    if times is None or requests is None:
        return (target_orders[rows] - orders).astype(np.float64)
    return (requests[rows] - times[positions]) / DAY_MS
