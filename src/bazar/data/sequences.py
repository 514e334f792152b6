"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1. What a row holds is a
slice of its user's sequence, and is made when it is asked for: rows of any number cost eight bytes
each, not a history each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]


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

    @property
    def lengths(self) -> np.ndarray:
        """Items of each user, shape (users,), int64."""
        return np.diff(self.starts)

    def where(self, keep: np.ndarray) -> "Sequences":
        """Return a copy of the items where ``keep``, shape (interactions,), bool, is true.

        Users of whom nothing is left are left out.
        """
        kept = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])
        starts = kept[self.starts]
        has_items = np.diff(starts) > 0
        return Sequences(
            self.user_ids.filter(pa.array(has_items)),
            self.items[keep],
            np.concatenate([[0], starts[1:][has_items]]),
        )


def read_sequences(
    users: pa.Table, items: Iterable[pa.RecordBatch]
) -> tuple[Sequences, np.ndarray | None]:
    """Read sequences and their clock, the items a batch at a time.

    Args:
        users: columns ``user_id`` (string), each once, and ``length`` (integer, items of the
            user, 1 or more).
        items: columns ``item_index`` (int32) and ``timestamp`` (int64, UTC milliseconds, null
            without a clock), in order of the user, then of time.

    Returns:
        The sequences, and when each of their items was bought, shape (interactions,), int64, UTC
        milliseconds; None if that is not known of every one.

    Raises:
        ValueError: if there are more or fewer items than the lengths say.
    """
    user_ids = users.column("user_id").cast(pa.large_string()).combine_chunks()
    lengths = users.column("length").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    concatenated = np.empty(starts[-1], np.int32)
    timestamps: np.ndarray | None = np.empty(starts[-1], np.int64)
    filled = 0
    for batch in items:
        if filled + len(batch) > len(concatenated):
            raise ValueError(f"more items than the {starts[-1]} that the users own")
        place = slice(filled, filled + len(batch))
        concatenated[place] = batch.column("item_index").to_numpy()
        times = batch.column("timestamp")
        if times.null_count:
            timestamps = None
        if timestamps is not None:
            timestamps[place] = times.to_numpy()
        filled += len(batch)
    if filled < len(concatenated):
        raise ValueError(f"{filled} items, but the users own {starts[-1]}")
    return Sequences(user_ids, concatenated, starts), timestamps
