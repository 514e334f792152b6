"""What a step of training reads: pieces of sequences in batches of a few fixed shapes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from bazar.data.sequences import IntArray, Sequences
from bazar.errors import InputError


def left_align(histories: np.ndarray, readable_items: np.ndarray | None = None) -> np.ndarray:
    """Move the items of histories to the front of their rows, in their order.

    Args:
        histories: shape (rows, length), int32, 0 is padding.
        readable_items: shape (items + 1,), bool: items that are kept; None keeps all.

    Returns:
        The same shape, padded on the right.
    """
    if readable_items is not None:
        histories = np.where(readable_items[histories], histories, 0)
    order = np.argsort(histories == 0, axis=1, kind="stable")
    return np.take_along_axis(histories, order, axis=1)


# What a file of rows holds: one row, every field of it an array that is read in place.
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
    """Rows of (history, target) that a model learns from or is measured on.

    A view on sequences: a row is the place of its target, and what is asked of it is read there.
    :meth:`rows`, :meth:`take` and :meth:`where` give views on fewer rows of the same sequences;
    make histories of a batch at a time.

    Attributes:
        sequences: what the rows are slices of.
        target_positions: shape (rows,), int64: where in ``sequences.items`` each target stands.
        history_length: longest history, in items; of a longer one the latest items are kept.
    """

    sequences: Sequences
    target_positions: np.ndarray
    history_length: int

    def __len__(self) -> int:
        return len(self.target_positions)

    @property
    def targets(self) -> IntArray:
        """What each row must predict, shape (rows,), int32."""
        return self.sequences.items[self.target_positions]

    @property
    def users(self) -> np.ndarray:
        """Whose row each is, as places in ``sequences.user_ids``, shape (rows,), int64."""
        return np.searchsorted(self.sequences.starts, self.target_positions, side="right") - 1

    @property
    def user_ids(self) -> pa.Array:
        """Whose row each is, shape (rows,), large strings."""
        return self.sequences.user_ids.take(pa.array(self.users))

    @property
    def n_seen(self) -> np.ndarray:
        """Items that each user bought before the target, shape (rows,), int64."""
        return self.target_positions - self.sequences.starts[self.users]

    @property
    def lengths(self) -> np.ndarray:
        """Items in each history, shape (rows,), int64."""
        return np.minimum(self.n_seen, self.history_length)

    def histories(self) -> IntArray:
        """Make the histories.

        Returns:
            Shape (rows, length of the longest of these histories, 1 at least), int32, padded with
            0 on the left.
        """
        lengths = self.lengths
        longest = int(lengths.max(initial=1))
        back = np.arange(longest, 0, -1)
        # Rows of few items look back beyond their user's first: what is read there is not theirs.
        places = np.maximum(self.target_positions[:, None] - back, 0)
        return np.where(back <= lengths[:, None], self.sequences.items[places], np.int32(0))

    def seen_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Make the pairs of (row, item index) of all that was bought before each target.

        However long ago: the history that a model sees may be shorter.

        Returns:
            Two arrays of one length, int64 and int32, row after row.
        """
        counts = self.n_seen
        rows = np.repeat(np.arange(len(self)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.sequences.items[
            np.repeat(self.target_positions - counts, counts) + within
        ]

    def shown(self) -> np.ndarray:
        """Tell which places of the sequences the rows show, as a target or in a history.

        Returns:
            Shape (interactions,), bool.
        """
        n_places = len(self.sequences.items)
        opened = np.bincount(self.target_positions - self.lengths, minlength=n_places)
        closed = np.bincount(self.target_positions + 1, minlength=n_places + 1)[:n_places]
        return np.cumsum(opened - closed) > 0

    def arrays(self) -> list[np.ndarray]:
        """All that the rows are made of but the users' ids: what tells them from others."""
        length = np.array(self.history_length)
        return [self.sequences.items, self.sequences.starts, self.target_positions, length]

    def rows(self, start: int, stop: int) -> "Windows":
        """Return rows ``start`` to ``stop`` (not included)."""
        return Windows(self.sequences, self.target_positions[start:stop], self.history_length)

    def take(self, rows: np.ndarray) -> "Windows":
        """Return the rows at ``rows``, shape (any,), integers, in that order."""
        return Windows(self.sequences, self.target_positions[rows], self.history_length)

    def where(self, keep: np.ndarray) -> "Windows":
        """Return the rows where ``keep``, shape (rows,), bool, is true."""
        return Windows(self.sequences, self.target_positions[keep], self.history_length)

    def batches(self, size: int) -> Iterator["Windows"]:
        """Go through the rows in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(start, start + size)

    def to_arrow(self) -> pa.Table:
        """Return the rows, with the sequences that they are slices of, as a table of one row."""
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
        """Read what :meth:`to_arrow` made, without copying a memory-mapped table.

        Raises:
            InputError: if the table holds something else.
        """
        if table.schema != _STORED:
            raise InputError(
                f"no rows of (history, target): expected {', '.join(_STORED.names)}, found "
                f"{', '.join(table.schema.names)}; run the pipeline sequencing again"
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
    """Make a row for each user after all that they bought: what comes next is not known.

    Args:
        sequences: the chronological sequences.
        history_length: longest history, in items; of a longer one the latest items are kept.

    Returns:
        Rows of sequences in which a 0 stands behind each user's last item, as its target.
    """
    ends = sequences.starts[1:]
    open_ended = Sequences(
        sequences.user_ids,
        np.insert(sequences.items, ends, 0),
        sequences.starts + np.arange(len(sequences.starts)),
    )
    return Windows(open_ended, open_ended.starts[1:] - 1, history_length)


def build_purchase_rows(histories: Windows) -> Windows:
    """Make a row for each purchase with another before it.

    Args:
        histories: what :func:`build_full_histories` made.
    """
    sequences = histories.sequences
    is_target = sequences.items > 0
    is_target[sequences.starts[:-1]] = False
    return Windows(sequences, np.flatnonzero(is_target), histories.history_length)
