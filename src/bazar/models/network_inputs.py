"""The input of a recurrent network: histories, times and previously bought items as arrays."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bazar.data.seen_items import list_seen_items
from bazar.data.sequences import DAY_MS, Sequences
from bazar.data.windows import Windows

N_TIME_FEATURES = 6
N_SEEN_FEATURES = 10
_YEAR_DAYS = 365.25
_MAX_LOG_RATIO = 3.0


@dataclass(frozen=True)
class NetworkInput:
    """Histories as steps. A step is one order. All arrays are NumPy arrays or tensors.

    Attributes:
        items: shape (entries,), int32, items of the histories; 0 is padding.
        steps: shape (entries,), int32, step of each entry: row * number of steps + step. The steps
            of a row begin at 0.
        weights: shape (entries,), float32, weight of each entry in its step; 0 for padding. The
            weights of the n entries of a step are 1 / sqrt(n), so that the vector of a step has
            about the same length for orders of any size.
        shape: shape (2,), int32: number of rows, and number of steps of the longest row.
        positions: shape (states,), int32: row * number of steps + step of each state that the
            network returns.
        times: shape (rows, steps, N_TIME_FEATURES), float32; see :func:`compute_time_features`. The
            number of rows is 0 if the network does not read times.
        seen_states: shape (pairs,), int32: number of the state.
        seen_items: shape (pairs,), int32: an item that was bought before the state; 0 is padding.
            There are no pairs if the network has no repeat scores.
        seen_features: shape (pairs, N_SEEN_FEATURES), float32; see :func:`build_seen_pairs`.
    """

    items: Any
    steps: Any
    weights: Any
    shape: Any
    positions: Any
    times: Any
    seen_states: Any
    seen_items: Any
    seen_features: Any

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the arrays in order of the attributes."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class InputOptions:
    """What a network reads.

    Attributes:
        readable_items: shape (items + 1,), bool: the items that the network can read. Other items
            are dropped from histories. None reads all items.
        reads_times: whether the input has time features.
        reads_seen: whether the input has the items that were bought before.
        typical_gap: typical number of days between two orders of a user.
    """

    readable_items: np.ndarray | None
    reads_times: bool
    reads_seen: bool
    typical_gap: float


def build_network_input(windows: Windows, options: InputOptions) -> NetworkInput:
    """Build the input for rows of histories. There is one state for each row, after its history.

    Args:
        windows: the rows.
        options: what the network reads.
    """
    rows, items, ages = windows.list_history()
    n_orders = windows.sequences.number_orders(windows.target_positions)
    entry_orders = n_orders[rows] - 1 - ages
    first = windows.sequences.number_orders(windows.history_starts)
    entries = build_steps(rows, items, entry_orders - first[rows], len(windows), options)
    n_steps = int(entries.shape[1])
    last = np.maximum(entries.is_kept.sum(axis=1) - 1, 0)
    positions = (np.arange(len(windows)) * n_steps + last).astype(np.int32)
    times = np.zeros((0, n_steps, N_TIME_FEATURES), np.float32)
    if options.reads_times:
        times = compute_time_features(windows.sequences, first, entries, options.typical_gap)
    seen = build_seen_pairs(windows, options)
    return NetworkInput(
        entries.items, entries.steps, entries.weights, entries.shape, positions, times, *seen
    )


@dataclass(frozen=True)
class Steps:
    """The entries of histories, without unreadable items and empty steps.

    Attributes:
        items, steps, weights, shape: as in :class:`NetworkInput`.
        is_kept: shape (rows, orders), bool: whether each order has a readable item.
    """

    items: np.ndarray
    steps: np.ndarray
    weights: np.ndarray
    shape: np.ndarray
    is_kept: np.ndarray

    @property
    def width(self) -> int:
        """Largest number of orders of a row, including those without a readable item."""
        return self.is_kept.shape[1]


def build_steps(
    rows: np.ndarray,
    items: np.ndarray,
    orders: np.ndarray,
    n_rows: int,
    options: InputOptions,
    n_steps: int | None = None,
) -> Steps:
    """Build the steps of histories.

    Args:
        rows: shape (entries,), int64, row of each item.
        items: shape (entries,), int32.
        orders: shape (entries,), int64, number of the order within its row, from 0.
        n_rows: number of rows.
        options: what the network reads.
        n_steps: number of steps. None: the largest number of orders that a row has.
    """
    if options.readable_items is not None:
        keep = options.readable_items[items]
        rows, items, orders = rows[keep], items[keep], orders[keep]
    width = int(orders.max(initial=0)) + 1
    counts = np.bincount(rows * width + orders, minlength=n_rows * width)
    is_kept = counts.reshape(n_rows, width) > 0
    # An order without a readable item has no step.
    step_by_order = np.cumsum(is_kept, axis=1) - 1
    if n_steps is None:
        n_steps = max(1, int(step_by_order.max(initial=0)) + 1)
    return Steps(
        items=items.astype(np.int32),
        steps=(rows * n_steps + step_by_order[rows, orders]).astype(np.int32),
        weights=(counts[rows * width + orders] ** -0.5).astype(np.float32),
        shape=np.array([n_rows, n_steps], np.int32),
        is_kept=is_kept,
    )


def compute_time_features(
    sequences: Sequences, first_orders: np.ndarray, entries: Steps, typical_gap: float
) -> np.ndarray:
    """Compute the time features of each step: the time to the next order, and its season.

    The next order of the last step is the request. The features are ``log(1 + gap)`` and its
    square, where the gap is divided by the typical gap, then the sines and cosines of one year and
    of half a year. Without timestamps, each gap is the typical gap, and the season is 0.

    Args:
        sequences: the sequences.
        first_orders: shape (rows,), int64, number of the first order of each row.
        entries: the steps of the rows.
        typical_gap: typical number of days between two orders of a user.

    Returns:
        Shape (rows, steps, N_TIME_FEATURES), float32.
    """
    n_rows, n_steps = entries.shape
    features = np.zeros((n_rows, n_steps, N_TIME_FEATURES), np.float32)
    rows, orders = np.nonzero(entries.is_kept)
    steps = (np.cumsum(entries.is_kept, axis=1) - 1)[rows, orders]
    numbers = first_orders[rows] + orders
    gaps = np.full(len(rows), typical_gap)
    season = np.zeros((len(rows), 4))
    if sequences.timestamps is not None:
        times = sequences.timestamps
        before = times[sequences.find_order_starts(numbers)]
        after = times[sequences.find_order_starts(numbers + 1)]
        gaps = np.maximum(after - before, 0) / DAY_MS
        angle = 2 * np.pi * (after / DAY_MS) / _YEAR_DAYS
        waves = (np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle))
        season = np.stack(waves, axis=1)
    scaled = np.log1p(gaps / typical_gap)
    features[rows, steps] = np.column_stack([scaled, scaled**2, season])
    return features


def build_seen_pairs(
    windows: Windows, options: InputOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Build ``seen_states``, ``seen_items`` and ``seen_features``, with one state for each row.

    The features describe the purchases of one item by one user: the ages of the last and the first
    purchase, the number of orders with the item, the mean gap between them, the age divided by the
    mean gap, and the number of orders of the user. Times are divided by the typical gap between two
    orders, so that networks of different shops see similar values. Without timestamps, the orders
    are the typical gap apart.

    Args:
        windows: the rows.
        options: what the network reads. Without ``reads_seen``, there are no pairs.

    Returns:
        The three arrays, as in :class:`NetworkInput`.
    """
    if not options.reads_seen:
        empty = np.zeros(0, np.int32)
        return empty, empty, np.zeros((0, N_SEEN_FEATURES), np.float32)
    seen = list_seen_items(windows)
    if options.readable_items is not None:
        seen = seen.filter(options.readable_items[seen.items])
    has_clock = windows.sequences.timestamps is not None
    gap = options.typical_gap if has_clock else 1.0
    has_gap = seen.counts > 1
    ages = np.maximum(seen.last_days, 0) / gap
    mean_gaps = np.where(has_gap, np.nan_to_num(seen.mean_gaps), 0) / gap
    ratios = np.log((ages + 0.05) / (mean_gaps + 0.05))
    last_order_ages = np.full(len(windows), np.inf)
    np.minimum.at(last_order_ages, seen.rows, ages)
    features = np.column_stack(
        [
            np.log1p(ages),
            np.log1p(seen.orders_since),
            np.log(seen.counts),
            seen.counts / np.maximum(seen.n_orders, 1),
            has_gap,
            np.log1p(mean_gaps),
            np.where(has_gap, np.clip(ratios, -_MAX_LOG_RATIO, _MAX_LOG_RATIO), 0),
            np.log1p(seen.n_orders),
            np.log1p(np.maximum(seen.first_days, 0) / gap),
            np.log1p(last_order_ages[seen.rows]),
        ]
    )
    return seen.rows.astype(np.int32), seen.items.astype(np.int32), features.astype(np.float32)


def compute_typical_gap(windows: Windows) -> float:
    """Return the median number of days between two consecutive orders of a user, at least an hour.

    Args:
        windows: training rows. The gap of a row is the time from the last order of the history to
            the targets.

    Returns:
        Days, at least 1/24. It is 1 without timestamps or rows.
    """
    sequences, requests = windows.sequences, windows.request_times
    if sequences.timestamps is None or requests is None or len(windows) == 0:
        return 1.0
    gaps = (requests - sequences.timestamps[windows.target_positions - 1]) / DAY_MS
    return max(float(np.median(gaps)), 1 / 24)
