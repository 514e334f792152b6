"""Rows of (history, target), for training and evaluation.

A row is stored as a position in the sequences, which takes eight bytes. Its history is sliced from
the sequences when it is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from bazar.data.sequences import IntArray, Sequences
from bazar.errors import InputError


def left_align(histories: np.ndarray, readable_items: np.ndarray | None = None) -> np.ndarray:
    """Move the items of each history to the front of its row, in the same order.

    Args:
        histories: shape (rows, length), int32, 0 is padding.
        readable_items: shape (items + 1,), bool, items to keep; None keeps all.

    Returns:
        The same shape, padded on the right.
    """
    if readable_items is not None:
        histories = np.where(readable_items[histories], histories, 0)
    order = np.argsort(histories == 0, axis=1, kind="stable")
    return np.take_along_axis(histories, order, axis=1)


# Columns of a file of rows. The file has one record. Its arrays can be memory-mapped.
_STORED = pa.schema(
    {
        "user_ids": pa.large_list(pa.large_string()),
        "items": pa.large_list(pa.int32()),
        "starts": pa.large_list(pa.int64()),
        "target_positions": pa.large_list(pa.int64()),
        "history_length": pa.int64(),
    }
)


@dataclass(frozen=True)
class Windows:
    """Rows of (history, target): a view on sequences.

    :meth:`slice_rows`, :meth:`take` and :meth:`filter` return views on some of the rows, with the
    same sequences. Build histories in batches to limit the memory use.

    Attributes:
        sequences: the sequences that the rows are slices of.
        target_positions: shape (rows,), int64, position of each target in ``sequences.items``.
        history_length: maximum length of a history; the latest items are kept.
    """

    sequences: Sequences
    target_positions: np.ndarray
    history_length: int

    def __len__(self) -> int:
        return len(self.target_positions)

    @property
    def targets(self) -> IntArray:
        """Item index of each target, shape (rows,), int32."""
        return self.sequences.items[self.target_positions]

    @property
    def users(self) -> np.ndarray:
        """Position of each row's user in ``sequences.user_ids``, shape (rows,), int64."""
        return np.searchsorted(self.sequences.starts, self.target_positions, side="right") - 1

    @property
    def user_ids(self) -> pa.Array:
        """External id of each row's user, shape (rows,), large strings."""
        return self.sequences.user_ids.take(pa.array(self.users))

    @property
    def n_seen(self) -> np.ndarray:
        """Number of interactions of the user before the target, shape (rows,), int64."""
        return self.target_positions - self.sequences.starts[self.users]

    @property
    def lengths(self) -> np.ndarray:
        """Length of each history, shape (rows,), int64."""
        return np.minimum(self.n_seen, self.history_length)

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
        counts = self.n_seen
        rows = np.repeat(np.arange(len(self)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.sequences.items[
            np.repeat(self.target_positions - counts, counts) + within
        ]

    def mark_used_interactions(self) -> np.ndarray:
        """Return whether each interaction is in a row, as the target or in the history.

        Returns:
            Shape (interactions,), bool.
        """
        n_interactions = len(self.sequences.items)
        begins = np.bincount(self.target_positions - self.lengths, minlength=n_interactions)
        ends = np.bincount(self.target_positions + 1, minlength=n_interactions + 1)
        return np.cumsum(begins - ends[:n_interactions]) > 0

    def get_arrays(self) -> list[np.ndarray]:
        """Return the arrays from which a fingerprint of the rows is computed, without user ids."""
        length = np.array(self.history_length)
        return [self.sequences.items, self.sequences.starts, self.target_positions, length]

    def slice_rows(self, start: int, stop: int) -> "Windows":
        """Return the rows from ``start`` up to, but not including, ``stop``."""
        return Windows(self.sequences, self.target_positions[start:stop], self.history_length)

    def take(self, rows: np.ndarray) -> "Windows":
        """Return the rows with the given numbers, shape (any,), int, in the given order."""
        return Windows(self.sequences, self.target_positions[rows], self.history_length)

    def filter(self, keep: np.ndarray) -> "Windows":
        """Return the rows for which ``keep``, shape (rows,), bool, is true."""
        return Windows(self.sequences, self.target_positions[keep], self.history_length)

    def iter_batches(self, size: int) -> Iterator["Windows"]:
        """Iterate over the rows in order, in batches of ``size`` rows."""
        for start in range(0, len(self), size):
            yield self.slice_rows(start, start + size)

    def to_arrow(self) -> pa.Table:
        """Return the rows and their sequences as a table of one record."""
        sequences = self.sequences
        arrays = [
            pa.LargeListArray.from_arrays([0, len(values)], pa.array(values, field.type.value_type))
            for values, field in zip(
                (sequences.user_ids, sequences.items, sequences.starts, self.target_positions),
                _STORED,
                strict=False,
            )
        ]
        return pa.table([*arrays, pa.array([self.history_length])], schema=_STORED)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Return the rows of a table of :meth:`to_arrow`. A memory-mapped table is not copied.

        Raises:
            InputError: if the table has other columns.
        """
        if table.schema != _STORED:
            raise InputError(
                f"The table does not contain rows of (history, target): expected the columns "
                f"{', '.join(_STORED.names)}, found {', '.join(table.schema.names)}.\n"
                "Run the pipeline sequencing again."
            )
        user_ids, items, starts, target_positions = (
            table.column(name).chunk(0).values for name in _STORED.names[:-1]
        )
        return cls(
            Sequences(user_ids, items.to_numpy(), starts.to_numpy()),
            target_positions.to_numpy(),
            table.column("history_length")[0].as_py(),
        )


def build_full_histories(sequences: Sequences, history_length: int) -> Windows:
    """Build one row per customer whose history ends with the customer's last item.

    The target is unknown. Models recommend the next item for these rows. Guests have no row.

    Args:
        sequences: the chronological sequences.
        history_length: maximum length of a history; the latest items are kept.

    Returns:
        Rows whose target is 0. Their sequences, with those of guests, have a 0 after the last item
        of each user.
    """
    open_ended = Sequences(
        sequences.user_ids,
        np.insert(sequences.items, sequences.starts[1:], 0),
        sequences.starts + np.arange(len(sequences.starts)),
    )
    ends = open_ended.starts[1:][~sequences.is_guest] - 1
    return Windows(open_ended, ends, history_length)


def build_interaction_rows(histories: Windows) -> Windows:
    """Build one row for each interaction except the first of each user. Guests have rows, too.

    Args:
        histories: output of :func:`build_full_histories`.
    """
    sequences = histories.sequences
    is_target = sequences.items > 0
    is_target[sequences.starts[:-1]] = False
    return Windows(sequences, np.flatnonzero(is_target), histories.history_length)
