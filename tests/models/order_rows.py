"""Rows of orders of several items, for tests."""

from itertools import chain

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from bazar.data.seen_items import DAY_MS
from bazar.data.sequences import Sequences
from bazar.data.windows import Windows, build_full_histories, list_order_starts

Orders = list[list[int]]


def make_order_sequences(
    users: list[Orders], days: list[list[float]] | None = None, prefix: str = "u"
) -> Sequences:
    """Make sequences of users, each a list of orders, each a list of items.

    Args:
        users: the orders of each user, at least one.
        days: time of each order in days; None for no timestamps.
        prefix: first letters of the user ids.
    """
    sizes = [[len(order) for order in orders] for orders in users]
    lengths = [sum(of_user) for of_user in sizes]
    counts = list(chain(*sizes))
    timestamps = None
    if days is not None:
        times = np.array(list(chain(*days))) * DAY_MS
        timestamps = np.repeat(times.astype(np.int64), counts)
    return Sequences(
        pa.array([f"{prefix}{number}" for number in range(len(users))], pa.large_string()),
        np.array(list(chain(*chain(*users))), np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        orders=np.repeat(np.arange(len(counts)), counts).astype(np.int32),
        timestamps=timestamps,
    )


def make_training_rows(
    users: list[Orders],
    days: list[list[float]] | None = None,
    history_length: int = 10,
) -> Windows:
    """Make one row per order except the first of each user."""
    sequences = make_order_sequences(users, days)
    every = np.ones(len(sequences.items), bool)
    return Windows(sequences, list_order_starts(sequences, every), history_length)


def make_requests(
    users: list[Orders],
    days: list[list[float]] | None = None,
    request_day: float | None = None,
    history_length: int = 10,
    prefix: str = "new",
) -> Windows:
    """Make one row per user whose history contains all orders. The targets are unknown."""
    request_time = None if request_day is None else int(request_day * DAY_MS)
    sequences = make_order_sequences(users, days, prefix)
    return build_full_histories(sequences, history_length, request_time)


def count_items(rows: Windows, n_items: int) -> np.ndarray:
    """Count the interactions of each item, shape (items + 1,), int64."""
    return np.bincount(rows.sequences.items, minlength=n_items + 1)


@st.composite
def order_lists(draw: st.DrawFn, n_items: int, min_orders: int = 2) -> list[Orders]:
    """Draw users with orders of distinct items."""
    order = st.lists(st.integers(1, n_items), min_size=1, max_size=4, unique=True)
    orders = st.lists(order, min_size=min_orders, max_size=6)
    return draw(st.lists(orders, min_size=1, max_size=6))
