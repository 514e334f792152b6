"""The interactions of all users as integer arrays.

Item index 0 is padding; items start at 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]


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
    """

    user_ids: pa.Array
    items: IntArray
    starts: np.ndarray
    guests: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

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
        )


def read_sequences(
    users: pa.Table, items: Iterable[pa.RecordBatch]
) -> tuple[Sequences, np.ndarray | None]:
    """Read sequences and their timestamps, one batch of items at a time.

    Args:
        users: columns ``user_id`` (string), each once, ``length`` (integer, number of items of the
            user, at least 1) and ``is_guest`` (bool).
        items: columns ``item_index`` (int32) and ``timestamp`` (int64, UTC milliseconds, null if
            unknown), in order of the users, then of time.

    Returns:
        The sequences, and the time of each interaction, shape (interactions,), int64, UTC
        milliseconds. If at least one time is unknown, None is returned instead of the times.

    Raises:
        ValueError: if the number of items differs from the sum of the lengths.
    """
    user_ids = users.column("user_id").cast(pa.large_string()).combine_chunks()
    lengths = users.column("length").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    concatenated = np.empty(starts[-1], np.int32)
    timestamps: np.ndarray | None = np.empty(starts[-1], np.int64)
    filled = 0
    for batch in items:
        if filled + len(batch) > len(concatenated):
            raise ValueError(f"There are more items than the {starts[-1]} that the users have.")
        positions = slice(filled, filled + len(batch))
        concatenated[positions] = batch.column("item_index").to_numpy()
        times = batch.column("timestamp")
        if times.null_count:
            timestamps = None
        if timestamps is not None:
            timestamps[positions] = times.to_numpy()
        filled += len(batch)
    if filled < len(concatenated):
        raise ValueError(f"There are {filled} items, but the users have {starts[-1]}.")
    guests = np.flatnonzero(users.column("is_guest").to_numpy())
    return Sequences(user_ids, concatenated, starts, guests), timestamps
