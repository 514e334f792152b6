"""The interactions of all users as integer arrays.

Item index 0 is padding; items start at 1.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Sequences:
    """Every user's items in chronological order, users one after another.

    Attributes:
        user_ids: shape (users,), large strings.
        items: shape (interactions,), int32, the item indices of all users, concatenated.
        starts: shape (users + 1,), int64; the items of user ``u`` are
            ``items[starts[u]:starts[u + 1]]``, at least one.
        guests: positions of the guests in ``user_ids``, shape (guests,), int64, ascending. The
            order of a guest is used only for training.
        orders: number of the order of each interaction, shape (interactions,), int32. It starts at
            0 and increases by 1 from one order to the next, over all users. None: each interaction
            is an order of its own.
        timestamps: time of each interaction, shape (interactions,), int64, UTC milliseconds; None
            if the data has no timestamps.
        untimed: positions of the interactions whose time is unknown in ``items``, shape (any,),
            int64, ascending. Their ``timestamps`` are estimates. Empty if ``timestamps`` is None.
    """

    user_ids: pa.Array
    items: IntArray
    starts: np.ndarray
    guests: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    orders: IntArray | None = None
    timestamps: np.ndarray | None = None
    untimed: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def find_user(self, user_id: str) -> int:
        """Return the position of a user; -1 if there is none.

        Raises:
            UnicodeEncodeError: if the id is not valid text.
        """
        if not self._has_sorted_users:
            position: int = pc.index(self.user_ids, user_id).as_py()
            return position
        user_id.encode()
        found = bisect_left(
            range(len(self.user_ids)), user_id, key=lambda place: self.user_ids[place].as_py()
        )
        is_found = found < len(self.user_ids) and self.user_ids[found].as_py() == user_id
        return found if is_found else -1

    @cached_property
    def _has_sorted_users(self) -> bool:
        """Whether the user ids are ascending, so that a search need not read all of them."""
        is_ascending = pc.greater_equal(self.user_ids[1:], self.user_ids[:-1])
        return bool(pc.all(is_ascending, min_count=0).as_py())

    @property
    def lengths(self) -> np.ndarray:
        """Number of items of each user, shape (users,), int64."""
        return np.diff(self.starts)

    @property
    def is_guest(self) -> np.ndarray:
        """Whether each user is a guest, shape (users,), bool."""
        is_guest = np.zeros(len(self.starts) - 1, bool)
        is_guest[self.guests] = True
        return is_guest

    @property
    def has_time(self) -> np.ndarray:
        """Whether the time of each interaction is known, shape (interactions,), bool."""
        has_time = np.full(len(self.items), self.timestamps is not None)
        has_time[self.untimed] = False
        return has_time

    def number_orders(self, positions: np.ndarray) -> np.ndarray:
        """Return the number of the order at each position, int64, the shape of ``positions``."""
        return (positions if self.orders is None else self.orders[positions]).astype(np.int64)

    def find_order_starts(self, numbers: np.ndarray) -> np.ndarray:
        """Return the position of the first interaction of each order.

        Args:
            numbers: numbers of orders, int64. The number after the last order gives the number of
                interactions.

        Returns:
            The shape of ``numbers``, int64.
        """
        if self.orders is None:
            return numbers
        # With another type, NumPy would convert all orders.
        return np.searchsorted(self.orders, numbers.astype(np.int32))

    def filter(self, keep: np.ndarray) -> "Sequences":
        """Return a copy with some of the interactions.

        Args:
            keep: shape (interactions,), bool. Users without a kept interaction are removed.
        """
        n_kept_before = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])
        starts = n_kept_before[self.starts]
        has_items = np.diff(starts) > 0
        return Sequences(
            self.user_ids.filter(pa.array(has_items)),
            self.items[keep],
            np.concatenate([[0], starts[1:][has_items]]),
            np.flatnonzero(self.is_guest[has_items]),
            None if self.orders is None else _renumber(self.orders[keep]),
            None if self.timestamps is None else self.timestamps[keep],
            n_kept_before[self.untimed[keep[self.untimed]]],
        )


def read_sequences(
    users: pa.Table,
    items: Iterable[pa.RecordBatch],
    seed: int,
    shuffle_equal_days: bool = False,
) -> Sequences:
    """Read sequences, one batch of items at a time, and shuffle interactions without an order.

    A guest has only one order. Each of its interactions becomes an order of its own, so that the
    interactions before it are its history.

    If some times are unknown, an interaction without a time takes the last known time before it of
    its user, or else the first one after it. A user without any known time takes the median of all
    known times.

    Args:
        users: columns ``user_id`` (string), each once, ``length`` (integer, number of items of the
            user, at least 1) and ``is_guest`` (bool).
        items: columns ``item_index`` (int32), ``timestamp`` (int64, UTC milliseconds, null if
            unknown), ``order_number`` and ``tie_number`` (int64, from 1 within a user), in order
            of the users, then of time. Interactions of a user with the same ``tie_number`` have no
            order among themselves.
        seed: seed of the shuffle of the interactions with the same ``tie_number``.
        shuffle_equal_days: whether the interactions of one user on one UTC day are shuffled as
            well. Their times then become the start of the day. Interactions without a time keep
            their place.

    Returns:
        The sequences with the orders of each user. The timestamps are None if no time is known.

    Raises:
        ValueError: if the number of items differs from the sum of the lengths.
    """
    user_ids = users.column("user_id").cast(pa.large_string()).combine_chunks()
    lengths = users.column("length").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    read = _read_items(items, int(starts[-1]))
    timestamps, has_time = read["timestamp"], read["has_time"]
    guests = np.flatnonzero(users.column("is_guest").to_numpy())
    groups = np.cumsum(_mark_changes(read["tie_number"], starts))
    if shuffle_equal_days:
        timestamps -= timestamps % DAY_MS
        groups = group_days(groups, timestamps, has_time, starts)
    shuffled = _shuffle_groups(groups, seed)
    has_time = has_time[shuffled]
    is_first = _mark_changes(read["order_number"], starts)
    for guest in guests:
        is_first[starts[guest] : starts[guest + 1]] = True
    orders = (np.cumsum(is_first, dtype=np.int64) - 1).astype(np.int32)
    return Sequences(
        user_ids,
        read["item_index"][shuffled],
        starts,
        guests,
        orders,
        _fill_times(timestamps[shuffled], has_time, starts) if has_time.any() else None,
        np.flatnonzero(~has_time) if has_time.any() else np.empty(0, np.int64),
    )


def _read_items(batches: Iterable[pa.RecordBatch], n_items: int) -> dict[str, np.ndarray]:
    """Return the columns of :func:`read_sequences` as arrays, and ``has_time``, bool.

    Unknown timestamps are 0.

    Raises:
        ValueError: if the number of items differs from ``n_items``.
    """
    types = {
        "item_index": np.int32, "order_number": np.int32, "tie_number": np.int32,
        "timestamp": np.int64, "has_time": bool,
    }  # fmt: skip
    arrays = {name: np.empty(n_items, dtype) for name, dtype in types.items()}
    filled = 0
    for batch in batches:
        if filled + len(batch) > n_items:
            raise ValueError(f"There are more items than the {n_items} that the users have.")
        positions = slice(filled, filled + len(batch))
        for name in ("item_index", "order_number", "tie_number"):
            arrays[name][positions] = batch.column(name).to_numpy()
        times = batch.column("timestamp")
        arrays["has_time"][positions] = times.is_valid().to_numpy(zero_copy_only=False)
        arrays["timestamp"][positions] = times.fill_null(0).to_numpy()
        filled += len(batch)
    if filled < n_items:
        raise ValueError(f"There are {filled} items, but the users have {n_items}.")
    return arrays


def _mark_changes(numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return whether each interaction has another number than the one before it of its user.

    Returns:
        Shape (interactions,), bool. It is True for the first interaction of each user.
    """
    is_first = np.ones(len(numbers), bool)
    is_first[1:] = np.diff(numbers) != 0
    is_first[starts[:-1]] = True
    return is_first


def group_days(
    ties: np.ndarray, timestamps: np.ndarray, has_time: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Return the number of the group of each interaction: a group is one user and UTC day.

    Args:
        ties: shape (interactions,), int64, number of the tie of each interaction over all users. It
            is the group of the interactions without a time.
        timestamps: shape (interactions,), int64, UTC milliseconds.
        has_time: shape (interactions,), bool, whether the time of each interaction is known.
        starts: shape (users + 1,), int64.

    Returns:
        Shape (interactions,), int64.
    """
    users = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    days = timestamps // DAY_MS
    days -= days.min(initial=0)
    groups = users * (days.max(initial=0) + 1) + days
    return np.where(has_time, groups, groups.max(initial=0) + 1 + ties)


def _shuffle_groups(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return an order of the interactions in which those of each group exchange their places.

    Args:
        groups: shape (interactions,), int64, the group of each interaction.
        seed: seed of the shuffle.

    Returns:
        Shape (interactions,), int64: positions.
    """
    draws = np.random.default_rng(seed).random(len(groups))
    shuffled = np.empty(len(groups), np.int64)
    shuffled[np.argsort(groups, kind="stable")] = np.lexsort((draws, groups))
    return shuffled


def _fill_times(timestamps: np.ndarray, has_time: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the timestamps with an estimate for each unknown time; see :func:`read_sequences`.

    Args:
        timestamps: shape (interactions,), int64, UTC milliseconds; any value if unknown.
        has_time: shape (interactions,), bool, whether the time of each interaction is known, at
            least one.
        starts: shape (users + 1,), int64.

    Returns:
        Shape (interactions,), int64, UTC milliseconds.
    """
    if has_time.all():
        return timestamps
    places, lengths = np.arange(len(timestamps)), np.diff(starts)
    before = np.maximum.accumulate(np.where(has_time, places, -1))
    after = np.minimum.accumulate(np.where(has_time, places, len(places))[::-1])[::-1]
    has_before = before >= np.repeat(starts[:-1], lengths)
    has_after = after < np.repeat(starts[1:], lengths)
    filled = np.full(len(timestamps), int(np.median(timestamps[has_time])))
    filled[has_after] = timestamps[after[has_after]]
    filled[has_before] = timestamps[before[has_before]]
    return filled


def _renumber(orders: IntArray) -> IntArray:
    """Return the numbers of orders without gaps."""
    return np.cumsum(np.diff(orders, prepend=orders[:1]) != 0).astype(np.int32)
