"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from sklearn.model_selection import train_test_split

from bazar.errors import InputError

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]


@dataclass(frozen=True)
class Sequences:
    """Every user's items in chronological order, users one after another.

    Attributes:
        user_ids: shape (users,), strings.
        items: shape (interactions,), int32, the item indices of all users, concatenated.
        starts: shape (users + 1,), int64; user ``u`` owns ``items[starts[u]:starts[u + 1]]``.
    """

    user_ids: pa.Array
    items: IntArray
    starts: np.ndarray

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Read a table that is sorted by user and position.

        Args:
            table: columns ``user_id`` (string) and ``item_index`` (int32).
        """
        users = table.column("user_id").combine_chunks().dictionary_encode()
        codes = users.indices.to_numpy(zero_copy_only=False)
        items = table.column("item_index").to_numpy().astype(np.int32, copy=False)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        if len(first) != len(users.dictionary):
            raise ValueError("the table is not sorted by user_id")
        return cls(users.dictionary, items, np.append(first, len(items)).astype(np.int64))

    @property
    def lengths(self) -> np.ndarray:
        """Items of each user, shape (users,), int64."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Windows:
    """Rows of (history, target) that a model learns from or is measured on.

    Attributes:
        user_ids: shape (rows,), strings.
        histories: shape (rows, history length), int32, padded with 0 on the left.
        targets: shape (rows,), int32.
        seen: shape (rows,), lists of int32: all that the user bought before the target, however
            long ago. Null for training rows, which need it not.
    """

    user_ids: pa.Array
    histories: IntArray
    targets: IntArray
    seen: pa.Array

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> np.ndarray:
        """Items in each history, shape (rows,), int64."""
        return np.count_nonzero(self.histories, axis=1)

    def rows(self, start: int, stop: int) -> "Windows":
        """Return rows ``start`` to ``stop`` (not included)."""
        return Windows(
            self.user_ids.slice(start, stop - start),
            self.histories[start:stop],
            self.targets[start:stop],
            self.seen.slice(start, stop - start),
        )

    def where(self, keep: np.ndarray) -> "Windows":
        """Return the rows where ``keep``, shape (rows,), bool, is true."""
        mask = pa.array(keep)
        return Windows(
            self.user_ids.filter(mask),
            self.histories[keep],
            self.targets[keep],
            self.seen.filter(mask),
        )

    def seen_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (row, item index) of every item seen, two arrays of one length."""
        counts = self.seen.value_lengths().to_numpy(zero_copy_only=False)
        return np.repeat(np.arange(len(self)), counts), self.seen.flatten().to_numpy()

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table of one chunk."""
        length = self.histories.shape[1]
        flat = pa.array(np.ascontiguousarray(self.histories).reshape(-1), pa.int32())
        return pa.table(
            {
                "user_id": self.user_ids,
                "history": pa.FixedSizeListArray.from_arrays(flat, length),
                "target": pa.array(self.targets, pa.int32()),
                "seen": self.seen,
            }
        )

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Read what :meth:`to_arrow` made, without copying a memory-mapped table."""
        histories = _one_chunk(table.column("history"))
        length = histories.type.list_size
        flat = histories.flatten().to_numpy()
        return cls(
            _one_chunk(table.column("user_id")),
            flat.reshape(-1, length),
            _one_chunk(table.column("target")).to_numpy(),
            _one_chunk(table.column("seen")),
        )


@dataclass(frozen=True)
class Split:
    """What a protocol makes of the sequences.

    Attributes:
        train: rows to learn from, without ``seen``.
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
    start, end = sequences.starts[:-1], sequences.starts[1:]
    lengths = sequences.lengths
    position = np.arange(len(sequences.items)) - np.repeat(start, lengths)
    from_end = np.repeat(end, lengths) - np.arange(len(sequences.items))
    in_training = from_end > 2

    def rows(targets: np.ndarray, with_seen: bool) -> Windows:
        return _prefix_windows(sequences, targets, history_length, with_seen)

    return Split(
        train=rows(np.flatnonzero(in_training & (position > 0)), with_seen=False),
        validation=rows(np.flatnonzero((from_end == 2) & (position > 0)), with_seen=True),
        test=rows(np.flatnonzero((from_end == 1) & (position > 0)), with_seen=True),
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
    position = np.arange(len(sequences.items)) - np.repeat(sequences.starts[:-1], sequences.lengths)
    targets = np.flatnonzero(position >= window_length - 1)
    if len(targets) < 3:
        raise InputError(
            f"only {len(targets)} windows of {window_length} items can be cut from "
            f"{len(sequences.user_ids)} sequences: set a smaller sequencing.window_length, "
            "or use split=leave_one_out"
        )
    rest, test = train_test_split(targets, test_size=test_share, random_state=seed)
    train, validation = train_test_split(rest, test_size=validation_share, random_state=seed)

    def rows(targets: np.ndarray, with_seen: bool) -> Windows:
        return _prefix_windows(sequences, targets, window_length - 1, with_seen)

    windows = rows(train, with_seen=False)
    taught = np.concatenate([windows.histories.reshape(-1), windows.targets])
    return Split(
        train=windows,
        validation=rows(validation, with_seen=True),
        test=rows(test, with_seen=True),
        training_counts=np.bincount(taught, minlength=n_items + 1),
    )


def _prefix_windows(
    sequences: Sequences, targets: np.ndarray, history_length: int, with_seen: bool
) -> Windows:
    """Rows whose targets stand at the places ``targets`` of ``sequences.items``."""
    users = np.searchsorted(sequences.starts, targets, side="right") - 1
    starts = sequences.starts[users]
    places = targets[:, None] + np.arange(-history_length, 0)
    inside = places >= starts[:, None]
    histories = np.where(inside, sequences.items[np.where(inside, places, 0)], 0)
    if with_seen:
        counts = targets - starts
        offsets = np.concatenate([[0], np.cumsum(counts)])
        flat = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
        seen = pa.LargeListArray.from_arrays(offsets, pa.array(sequences.items[flat], pa.int32()))
    else:
        seen = pa.nulls(len(targets), pa.large_list(pa.int32()))
    return Windows(
        user_ids=sequences.user_ids.take(pa.array(users)),
        histories=histories.astype(np.int32),
        targets=sequences.items[targets].astype(np.int32),
        seen=seen,
    )


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
