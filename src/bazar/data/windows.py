"""Rows of (history, targets), for training and evaluation.

The targets of a row are the interactions of one order. If each interaction is an order of its own,
a row has one target. A row is stored as a position in the sequences, which takes eight bytes. Its
history is sliced from the sequences when it is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from bazar.data.sequences import DAY_MS, IntArray, Sequences
from bazar.errors import InputError

# Columns of a file of rows. The file has one record. Its arrays can be memory-mapped.
_STORED = pa.schema(
    {
        "user_ids": pa.large_list(pa.large_string()),
        "items": pa.large_list(pa.int32()),
        "starts": pa.large_list(pa.int64()),
        "target_positions": pa.large_list(pa.int64()),
        "orders": pa.large_list(pa.int32()),
        "timestamps": pa.large_list(pa.int64()),
        "guests": pa.large_list(pa.int64()),
        "untimed": pa.large_list(pa.int64()),
        "history_length": pa.int64(),
    }
)


@dataclass(frozen=True)
class Windows:
    """Rows of (history, targets): a view on sequences.

    :meth:`slice_rows`, :meth:`take` and :meth:`filter` return views on some of the rows, with the
    same sequences. Build histories in batches to limit the memory use.

    Attributes:
        sequences: the sequences that the rows are slices of.
        target_positions: shape (rows,), int64, position of each row's first target in
            ``sequences.items``. The targets of a row are all interactions from there to the end of
            the order.
        history_length: maximum length of a history, in orders; the latest orders are kept. If each
            interaction is an order of its own, it is the maximum number of items.
    """

    sequences: Sequences
    target_positions: np.ndarray
    history_length: int

    def __len__(self) -> int:
        return len(self.target_positions)

    @property
    def target_ends(self) -> np.ndarray:
        """Position after the last target of each row, shape (rows,), int64."""
        sequences = self.sequences
        return sequences.find_order_starts(sequences.number_orders(self.target_positions) + 1)

    @property
    def n_targets(self) -> np.ndarray:
        """Number of targets of each row, shape (rows,), int64."""
        return self.target_ends - self.target_positions

    @property
    def users(self) -> np.ndarray:
        """Position of each row's user in ``sequences.user_ids``, shape (rows,), int64."""
        return np.searchsorted(self.sequences.starts, self.target_positions, side="right") - 1

    @property
    def user_ids(self) -> pa.Array:
        """External id of each row's user, shape (rows,), large strings."""
        return self.sequences.user_ids.take(pa.array(self.users))

    @property
    def request_times(self) -> np.ndarray | None:
        """Time of the first target of each row, shape (rows,), int64, UTC milliseconds.

        It is the time of the request for recommendations. None if the data has no timestamps.
        """
        times = self.sequences.timestamps
        return None if times is None else times[self.target_positions]

    def compute_days_since_last(self) -> np.ndarray:
        """Compute the UTC days from the interaction before the targets of each row to the targets.

        Returns:
            Shape (rows,), float64: 0 on the same day; NaN if the day of one of them is unknown.
        """
        days = np.full(len(self), np.nan)
        sequences, times = self.sequences, self.sequences.timestamps
        if times is None:
            return days
        pairs = self.target_positions[:, None] - [1, 0]
        is_known = sequences.has_time[pairs].all(axis=1) & (self.n_seen > 0)
        before, after = (times[pairs[is_known]] // DAY_MS).T
        days[is_known] = after - before
        return days

    @property
    def n_seen(self) -> np.ndarray:
        """Number of interactions of the user before the targets, shape (rows,), int64."""
        return self.target_positions - self.sequences.starts[self.users]

    @property
    def history_starts(self) -> np.ndarray:
        """Position of the first item of each history, shape (rows,), int64."""
        sequences, first = self.sequences, self.sequences.starts[self.users]
        numbers = sequences.number_orders(self.target_positions) - self.history_length
        return np.maximum(sequences.find_order_starts(numbers), first)

    @property
    def lengths(self) -> np.ndarray:
        """Number of items of each history, shape (rows,), int64."""
        return self.target_positions - self.history_starts

    def list_targets(self) -> tuple[np.ndarray, np.ndarray]:
        """List the pairs of (row, item index) of all targets. A row has each item once.

        Returns:
            Row numbers and item indices, two arrays of the same length, int64 and int32, sorted by
            row number.
        """
        rows, positions = expand_ranges(self.target_positions, self.target_ends)
        items = self.sequences.items[positions]
        if self.sequences.orders is None:
            return rows, items
        n_items = int(items.max(initial=0)) + 1
        _, first = np.unique(rows * n_items + items, return_index=True)
        first.sort()
        return rows[first], items[first]

    def find_repeats(self) -> np.ndarray:
        """Return whether the user bought each target before, in any earlier order.

        Returns:
            The shape of the arrays of :meth:`list_targets`, bool.
        """
        rows, items = self.list_targets()
        seen_rows, seen_items = self.list_seen_pairs()
        n_items = int(max(items.max(initial=0), seen_items.max(initial=0))) + 1
        return np.isin(rows * n_items + items, seen_rows * n_items + seen_items)

    def has_repeats(self) -> bool:
        """Return whether any target was bought before by its user, in an earlier order of the rows.

        The memory use is proportional to the number of interactions, also for long histories.
        """
        sequences = self.sequences
        positions = np.flatnonzero(self.mark_used_interactions())
        users = np.searchsorted(sequences.starts, positions, side="right")
        items = sequences.items[positions]
        order = np.lexsort((positions, items, users))
        is_same_item = (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)
        is_later_order = np.diff(sequences.number_orders(positions[order])) > 0
        later = positions[order][1:][is_same_item & is_later_order]
        numbers = sequences.number_orders(self.target_positions)
        return bool(np.isin(sequences.number_orders(later), numbers).any())

    def list_history(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List the items of the histories.

        Returns:
            Row numbers, item indices and ages, three arrays of the same length, int64, int32 and
            int64, sorted by row number, then in the order of the sequences. The age is 0 for the
            last order before the targets, 1 for the order before it, and so on.
        """
        rows, positions = expand_ranges(self.history_starts, self.target_positions)
        numbers = self.sequences.number_orders
        ages = numbers(self.target_positions)[rows] - 1 - numbers(positions)
        return rows, self.sequences.items[positions], ages

    def build_histories(self) -> IntArray:
        """Build the histories.

        Returns:
            Shape (rows, longest history, at least 1), int32, padded with 0 on the left.
        """
        lengths = self.lengths
        longest = int(lengths.max(initial=1))
        back = np.arange(longest, 0, -1)
        # Positions before a user's first item belong to another user; they become padding.
        positions = np.maximum(self.target_positions[:, None] - back, 0)
        return np.where(back <= lengths[:, None], self.sequences.items[positions], np.int32(0))

    def list_seen_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """List the pairs of (row, item index) of all interactions before each target.

        The pairs are not limited to ``history_length``.

        Returns:
            Row numbers and item indices, two arrays of the same length, int64 and int32, sorted by
            row number.
        """
        first = self.target_positions - self.n_seen
        rows, positions = expand_ranges(first, self.target_positions)
        return rows, self.sequences.items[positions]

    def mark_used_interactions(self) -> np.ndarray:
        """Return whether each interaction is in a row, as a target or in the history.

        Returns:
            Shape (interactions,), bool.
        """
        n_interactions = len(self.sequences.items)
        begins = np.bincount(self.history_starts, minlength=n_interactions)
        ends = np.bincount(self.target_ends, minlength=n_interactions + 1)
        return np.cumsum(begins - ends[:n_interactions]) > 0

    def get_arrays(self) -> list[np.ndarray]:
        """Return the arrays from which a fingerprint of the rows is computed, without user ids."""
        sequences, length = self.sequences, np.array(self.history_length)
        optional = (sequences.orders, sequences.timestamps)
        return [
            sequences.items,
            sequences.starts,
            self.target_positions,
            length,
            sequences.untimed,
            *(np.empty(0, np.int64) if array is None else array for array in optional),
        ]

    def slice_rows(self, start: int, stop: int) -> "Windows":
        """Return the rows from ``start`` up to, but not including, ``stop``."""
        return Windows(self.sequences, self.target_positions[start:stop], self.history_length)

    def take(self, rows: np.ndarray) -> "Windows":
        """Return the rows with the given numbers, shape (any,), int, in the given order."""
        return Windows(self.sequences, self.target_positions[rows], self.history_length)

    def filter(self, keep: np.ndarray) -> "Windows":
        """Return the rows for which ``keep``, shape (rows,), bool, is true."""
        return Windows(self.sequences, self.target_positions[keep], self.history_length)

    def move_requests(self, time: int) -> "Windows":
        """Return a copy of the rows with another time of the request.

        Args:
            time: UTC milliseconds. A request is not earlier than the last purchase. If the
                sequences have no timestamps, it has no effect.
        """
        if self.sequences.timestamps is None:
            return self
        if len(self) == 1 < len(self.sequences.user_ids):
            # Do not copy the times of all users for a single request.
            return self._extract_user().move_requests(time)
        times = self.sequences.timestamps
        rows, positions = expand_ranges(self.target_positions, self.target_ends)
        before = np.maximum(self.target_positions - 1, self.sequences.starts[self.users])
        moved = np.array(times)
        moved[positions] = np.maximum(time, times[before])[rows]
        return replace(self, sequences=replace(self.sequences, timestamps=moved))

    def _extract_user(self) -> "Windows":
        """Return a copy of a single row whose sequences contain only its user."""
        sequences, user = self.sequences, int(self.users[0])
        start, stop = sequences.starts[user : user + 2].tolist()
        orders, times = sequences.orders, sequences.timestamps
        own = Sequences(
            sequences.user_ids.slice(user, 1),
            sequences.items[start:stop],
            np.array([0, stop - start]),
            np.zeros(int(user in sequences.guests), np.int64),
            None if orders is None else orders[start:stop] - orders[start],
            None if times is None else times[start:stop],
            sequences.untimed[(sequences.untimed >= start) & (sequences.untimed < stop)] - start,
        )
        return Windows(own, self.target_positions - start, self.history_length)

    def iter_batches(self, size: int) -> Iterator["Windows"]:
        """Iterate over the rows in order, in batches of ``size`` rows."""
        for start in range(0, len(self), size):
            yield self.slice_rows(start, start + size)

    def to_arrow(self) -> pa.Table:
        """Return the rows and their sequences as a table of one record."""
        sequences = self.sequences
        arrays = (
            sequences.user_ids,
            sequences.items,
            sequences.starts,
            self.target_positions,
            sequences.orders,
            sequences.timestamps,
            sequences.guests,
            sequences.untimed,
        )
        columns = [
            pa.nulls(1, field.type)
            if values is None
            else pa.LargeListArray.from_arrays(
                [0, len(values)], pa.array(values, field.type.value_type)
            )
            for values, field in zip(arrays, _STORED, strict=False)
        ]
        return pa.table([*columns, pa.array([self.history_length])], schema=_STORED)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Return the rows of a table of :meth:`to_arrow`. A memory-mapped table is not copied.

        Raises:
            InputError: if the table has other columns.
        """
        if table.schema != _STORED:
            raise InputError(
                f"The table does not contain rows of (history, targets): expected the columns "
                f"{', '.join(_STORED.names)}, found {', '.join(table.schema.names)}.\n"
                "Run the pipeline sequencing again."
            )
        arrays: dict[str, Any] = {}
        for name in _STORED.names[:-1]:
            column = table.column(name).chunk(0)
            arrays[name] = None if column.null_count else column.values
            if name != "user_ids" and arrays[name] is not None:
                arrays[name] = arrays[name].to_numpy()
        target_positions = arrays.pop("target_positions")
        return cls(Sequences(**arrays), target_positions, table.column("history_length")[0].as_py())


def expand_ranges(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions from each start up to, but not including, its stop.

    Args:
        starts: shape (rows,), int64.
        stops: shape (rows,), int64, not below ``starts``.

    Returns:
        Row numbers and positions, two arrays of the same length, int64, sorted by row number.
    """
    counts = stops - starts
    rows = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, starts[rows] + within


def build_full_histories(
    sequences: Sequences, history_length: int, request_time: int | None = None
) -> Windows:
    """Build one row per customer whose history ends with the customer's last item.

    The targets are unknown. Models recommend the next items for these rows. Guests have no row.

    Args:
        sequences: the chronological sequences.
        history_length: maximum length of a history, in orders; the latest orders are kept.
        request_time: time of the request, UTC milliseconds. None: the last time in the sequences.
            It is used only if the sequences have timestamps.

    Returns:
        Rows with the target 0. Their sequences, with those of guests, have an order with the item
        0 after the last order of each user.
    """
    ends, users = sequences.starts[1:], np.arange(len(sequences.starts) - 1)
    orders = timestamps = None
    if sequences.orders is not None:
        # One order is added before the orders of each later user.
        moved = sequences.orders + np.repeat(users, sequences.lengths)
        orders = np.insert(moved, ends, moved[ends - 1] + 1).astype(np.int32)
    if sequences.timestamps is not None:
        if request_time is None:
            request_time = int(sequences.timestamps.max(initial=0))
        # A request is not earlier than the last purchase.
        requests = np.maximum(sequences.timestamps[ends - 1], request_time)
        timestamps = np.insert(sequences.timestamps, ends, requests)
    open_ended = Sequences(
        sequences.user_ids,
        np.insert(sequences.items, ends, 0),
        sequences.starts + np.arange(len(sequences.starts)),
        sequences.guests,
        orders=orders,
        timestamps=timestamps,
        untimed=sequences.untimed + np.searchsorted(ends, sequences.untimed, side="right"),
    )
    targets = open_ended.starts[1:][~sequences.is_guest] - 1
    return Windows(open_ended, targets, history_length)


def build_interaction_rows(histories: Windows) -> Windows:
    """Build one row for each order except the first of each user. Guests have rows, too.

    Args:
        histories: output of :func:`build_full_histories`.
    """
    sequences = histories.sequences
    return Windows(
        sequences, list_order_starts(sequences, sequences.items > 0), histories.history_length
    )


def list_order_starts(sequences: Sequences, is_target: np.ndarray) -> np.ndarray:
    """List the first positions of orders that have a history.

    Args:
        sequences: the chronological sequences.
        is_target: shape (interactions,), bool: the interactions whose orders are listed.

    Returns:
        Ascending positions, int64. The first order of each user is left out.
    """
    numbers = sequences.number_orders(np.arange(len(sequences.items)))
    starts = np.diff(numbers, prepend=-1) != 0
    starts[sequences.starts[:-1]] = False
    return np.flatnonzero(starts & is_target)
