"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1. What a row holds is a
slice of its user's sequence, and is made when it is asked for: rows of any number cost eight bytes
each, not a history each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from sklearn.model_selection import train_test_split

from bazar.errors import InputError

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

# What a file of rows holds: one row, every field of it an array that is read in place.
_STORED = pa.schema(
    {
        "user_ids": pa.large_list(pa.large_string()),
        "items": pa.large_list(pa.int32()),
        "starts": pa.large_list(pa.int64()),
        "places": pa.large_list(pa.int64()),
        "history_length": pa.int64(),
    }
)


@dataclass(frozen=True)
class Sequences:
    """Every user's items in chronological order, users one after another.

    Attributes:
        user_ids: shape (users,), large strings.
        items: shape (interactions,), int32, the item indices of all users, concatenated.
        starts: shape (users + 1,), int64; user ``u`` owns ``items[starts[u]:starts[u + 1]]``, one
            item at least.
    """

    user_ids: pa.Array
    items: IntArray
    starts: np.ndarray

    @classmethod
    def from_arrow(cls, users: pa.Table, items: Iterable[pa.RecordBatch]) -> Self:
        """Read sequences, the items a batch at a time.

        Args:
            users: columns ``user_id`` (string), each once, and ``length`` (integer, items of the
                user, 1 or more).
            items: column ``item_index`` (int32), in order of the user, then of time.

        Raises:
            ValueError: if there are more or fewer items than the lengths say.
        """
        user_ids = users.column("user_id").cast(pa.large_string()).combine_chunks()
        lengths = users.column("length").to_numpy()
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        concatenated = np.empty(starts[-1], np.int32)
        filled = 0
        for batch in items:
            column = batch.column("item_index").to_numpy()
            if filled + len(column) > len(concatenated):
                raise ValueError(f"more items than the {starts[-1]} that the users own")
            concatenated[filled : filled + len(column)] = column
            filled += len(column)
        if filled < len(concatenated):
            raise ValueError(f"{filled} items, but the users own {starts[-1]}")
        return cls(user_ids, concatenated, starts)

    @property
    def lengths(self) -> np.ndarray:
        """Items of each user, shape (users,), int64."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Windows:
    """Rows of (history, target) that a model learns from or is measured on.

    A view on sequences: a row is the place of its target, and what is asked of it is read there.
    :meth:`rows`, :meth:`take` and :meth:`where` give views on fewer rows of the same sequences;
    make histories of a batch at a time.

    Attributes:
        sequences: what the rows are slices of.
        places: shape (rows,), int64: where in ``sequences.items`` each target stands.
        history_length: longest history, in items; of a longer one the latest items are kept.
    """

    sequences: Sequences
    places: np.ndarray
    history_length: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def targets(self) -> IntArray:
        """What each row must predict, shape (rows,), int32."""
        return self.sequences.items[self.places]

    @property
    def users(self) -> np.ndarray:
        """Whose row each is, as places in ``sequences.user_ids``, shape (rows,), int64."""
        return np.searchsorted(self.sequences.starts, self.places, side="right") - 1

    @property
    def user_ids(self) -> pa.Array:
        """Whose row each is, shape (rows,), large strings."""
        return self.sequences.user_ids.take(pa.array(self.users))

    @property
    def n_seen(self) -> np.ndarray:
        """Items that each user bought before the target, shape (rows,), int64."""
        return self.places - self.sequences.starts[self.users]

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
        places = np.maximum(self.places[:, None] - back, 0)
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
        return rows, self.sequences.items[np.repeat(self.places - counts, counts) + within]

    def rows(self, start: int, stop: int) -> "Windows":
        """Return rows ``start`` to ``stop`` (not included)."""
        return Windows(self.sequences, self.places[start:stop], self.history_length)

    def take(self, rows: np.ndarray) -> "Windows":
        """Return the rows at ``rows``, shape (any,), integers, in that order."""
        return Windows(self.sequences, self.places[rows], self.history_length)

    def where(self, keep: np.ndarray) -> "Windows":
        """Return the rows where ``keep``, shape (rows,), bool, is true."""
        return Windows(self.sequences, self.places[keep], self.history_length)

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
                (sequences.user_ids, sequences.items, sequences.starts, self.places),
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
        user_ids, items, starts, places = (
            table.column(name).chunk(0).values for name in _STORED.names[:-1]
        )
        return cls(
            Sequences(user_ids, items.to_numpy(), starts.to_numpy()),
            places.to_numpy(),
            table.column("history_length")[0].as_py(),
        )


@dataclass(frozen=True)
class Split:
    """What a protocol makes of the sequences.

    Attributes:
        train: rows to learn from.
        validation: rows to stop and choose by.
        test: rows to measure on, once.
        training_counts: shape (items + 1,), int64, times that each item index stands in the
            training part; 0 for cold items.
    """

    train: Windows
    validation: Windows
    test: Windows
    training_counts: np.ndarray


def leave_one_out(sequences: Sequences, n_items: int, history_length: int) -> Split:
    """Hold out each user's last item for test and the one before it for validation.

    The rest is training: each of its items but the first is a target once, with the items
    before it as the history. A user of two items has a test row and no validation row.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: longest history, in items; of a longer one the latest items are kept.
    """
    lengths, first, end = sequences.lengths, sequences.starts[:-1], sequences.starts[1:]
    in_training = np.ones(len(sequences.items), bool)
    in_training[end - 1] = False
    in_training[end[lengths > 1] - 2] = False
    is_target = in_training.copy()
    is_target[first] = False

    def rows(places: np.ndarray) -> Windows:
        return Windows(sequences, places, history_length)

    return Split(
        train=rows(np.flatnonzero(is_target)),
        validation=rows(end[lengths > 2] - 2),
        test=rows(end[lengths > 1] - 1),
        training_counts=np.bincount(sequences.items[in_training], minlength=n_items + 1),
    )


def paper_windows(
    sequences: Sequences,
    n_items: int,
    window_length: int,
    test_share: float,
    validation_share: float,
    seed: int,
) -> Split:
    """Cut every sequence into overlapping windows, and shuffle them into the parts.

    The last item of a window is the target. Overlapping windows of one user fall into
    training and test alike, so the figures are too good: this is kept to reproduce earlier
    work, not to compare models with the field.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        window_length: items in a window, its target included, 2 to 10.
        test_share: share of all windows that is test.
        validation_share: share of the remaining windows that is validation.
        seed: seed of both shuffles.

    Raises:
        InputError: if no sequence is as long as a window.
    """
    is_target = np.ones(len(sequences.items), bool)
    for before in range(window_length - 1):
        is_target[sequences.starts[:-1][sequences.lengths > before] + before] = False
    places = np.flatnonzero(is_target)
    if len(places) < 3:
        raise InputError(
            f"only {len(places)} windows of {window_length} items can be cut from "
            f"{len(sequences.user_ids)} sequences: set a smaller sequencing.window_length, "
            "or use split=leave_one_out"
        )
    rest, test = train_test_split(places, test_size=test_share, random_state=seed)
    train, validation = train_test_split(rest, test_size=validation_share, random_state=seed)
    training_counts = np.zeros(n_items + 1, np.int64)
    for before in range(window_length):
        training_counts += np.bincount(sequences.items[train - before], minlength=n_items + 1)

    def rows(places: np.ndarray) -> Windows:
        return Windows(sequences, places, window_length - 1)

    return Split(rows(train), rows(validation), rows(test), training_counts)
