"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1. What a row holds is a
slice of its user's sequence, and is made when it is asked for: rows of any number cost eight bytes
each, not a history each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
import pyarrow as pa
from sklearn.model_selection import train_test_split

from bazar.errors import InputError

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

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

    def shown(self) -> np.ndarray:
        """Tell which places of the sequences the rows show, as a target or in a history.

        Returns:
            Shape (interactions,), bool.
        """
        n_places = len(self.sequences.items)
        opened = np.bincount(self.places - self.lengths, minlength=n_places)
        closed = np.bincount(self.places + 1, minlength=n_places + 1)[:n_places]
        return np.cumsum(opened - closed) > 0

    def arrays(self) -> list[np.ndarray]:
        """All that the rows are made of but the users' ids: what tells them from others."""
        length = np.array(self.history_length)
        return [self.sequences.items, self.sequences.starts, self.places, length]

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
        recent_counts: the same of the most recent period of the training part alone: the last
            share of its interactions in time order, with all that are as late as the first of
            them. Without a clock, that share of each user's training interactions, their last,
            stands in for it; one at least.
    """

    train: Windows
    validation: Windows
    test: Windows
    training_counts: np.ndarray
    recent_counts: np.ndarray


def leave_one_out(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    timestamps: np.ndarray | None = None,
    recent_share: float = 0.1,
) -> Split:
    """Hold out each user's last item for test and the one before it for validation.

    The rest is training: each of its items but the first is a target once, with the items
    before it as the history. A user of two items has a test row and no validation row.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: longest history, in items; of a longer one the latest items are kept.
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds;
            None without a clock.
        recent_share: share of the training interactions that is recent.
    """
    train, validation, in_training = _hold_out_last(
        sequences, sequences.starts[1:] - 1, history_length
    )
    return Split(
        train,
        validation,
        _last_items(sequences, history_length),
        *_count_items(sequences, in_training, n_items, timestamps, recent_share),
    )


def require_clock(timestamps: np.ndarray | None) -> np.ndarray:
    """Return the times of :func:`read_sequences`.

    Raises:
        InputError: if there are none.
    """
    if timestamps is None:
        raise InputError(
            "split=temporal needs the time of every purchase, and the interactions have none: "
            "their source gives a position alone\n"
            "Map columns.timestamp of a source that has times (conf/<env>/globals.yml), or use "
            "split=leave_one_out"
        )
    return timestamps


def find_cuts(
    timestamps: np.ndarray, validation_from: float | datetime, test_from: float | datetime
) -> tuple[int, int]:
    """Find the two times at which :func:`temporal` cuts.

    A share becomes the time of the first purchase after that share of all purchases, in order of
    time. Of several purchases at that very time, none is before the cut.

    Args:
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds.
        validation_from: where validation begins, as a share of the purchases or as a time.
        test_from: where test begins, likewise.

    Returns:
        The beginnings of validation and of test, UTC milliseconds.

    Raises:
        InputError: if validation does not begin before test.
    """

    def time_of(cut: float | datetime) -> int:
        if isinstance(cut, datetime):
            return (cut - _EPOCH) // _MILLISECOND
        place = min(round(cut * len(timestamps)), len(timestamps) - 1)
        return int(np.partition(timestamps, place)[place])

    validation_time, test_time = time_of(validation_from), time_of(test_from)
    if validation_time >= test_time:
        raise InputError(
            f"sequencing.temporal: validation would begin at {tell_time(validation_time)}, and "
            f"test at {tell_time(test_time)}, which is not later\n"
            "Set validation_from further from test_from"
        )
    return validation_time, test_time


def temporal(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    timestamps: np.ndarray,
    validation_from: int,
    test_from: int,
    recent_share: float = 0.1,
) -> Split:
    """Cut at two times: train before the first, validate between them, test after.

    Every purchase with one before it by the same user is a row of the part that it was bought
    in; its history is all that the user bought before it, in whichever part. A purchase at the
    very time of a cut belongs to the later part.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: longest history, in items; of a longer one the latest items are kept.
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds,
            never falling within a user.
        validation_from: first time of validation, UTC milliseconds.
        test_from: first time of test, UTC milliseconds, later.
        recent_share: share of the training interactions that is recent.

    Raises:
        InputError: if a part has no row.
    """
    is_target = np.ones(len(sequences.items), bool)
    is_target[sequences.starts[:-1]] = False
    part = np.searchsorted([validation_from, test_from], timestamps, side="right")

    def rows(of_part: int) -> Windows:
        return Windows(sequences, np.flatnonzero(is_target & (part == of_part)), history_length)

    split = Split(
        rows(0),
        rows(1),
        rows(2),
        *_count_items(sequences, part == 0, n_items, timestamps, recent_share),
    )
    _refuse_empty(
        split,
        f"split=temporal, with validation from {tell_time(validation_from)} and test from "
        f"{tell_time(test_from)}, of purchases from {tell_time(timestamps.min())} to "
        f"{tell_time(timestamps.max())}",
        "sequencing.temporal.validation_from and test_from elsewhere",
    )
    return split


def draw_cold_items(sequences: Sequences, share: float, seed: int) -> IntArray:
    """Draw the items that :func:`cold_items` takes out of training.

    Args:
        sequences: the sequences; items that do not occur in them are not drawn.
        share: share of the items that occur.
        seed: seed of the draw.

    Returns:
        Item indices, shape (drawn,), int32, rising; one at least.
    """
    occurring = np.unique(sequences.items)
    n_drawn = max(1, round(share * len(occurring)))
    return np.sort(np.random.default_rng(seed).choice(occurring, n_drawn, replace=False))


def cold_items(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    cold: IntArray,
    timestamps: np.ndarray | None = None,
    recent_share: float = 0.1,
) -> Split:
    """Take items out of training altogether, and leave one out on what is left.

    Test is that of :func:`leave_one_out`: targets and histories hold cold items as they come.
    Training and validation are slices of reduced sequences, without any cold item and without
    the test items: of what is left of a user, the last item is validation.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: longest history, in items; of a longer one the latest items are kept.
        cold: shape (any,), int32, the item indices to take out.
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds;
            None without a clock.
        recent_share: share of the training interactions that is recent.

    Raises:
        InputError: if a part has no row.
    """
    is_cold = np.zeros(n_items + 1, bool)
    is_cold[cold] = True
    keep = ~is_cold[sequences.items]
    keep[sequences.starts[1:] - 1] = False
    left = sequences.where(keep)
    train, validation, in_training = _hold_out_last(left, left.starts[1:], history_length)
    times_left = None if timestamps is None else timestamps[keep]
    split = Split(
        train,
        validation,
        _last_items(sequences, history_length),
        *_count_items(left, in_training, n_items, times_left, recent_share),
    )
    _refuse_empty(
        split,
        f"split=cold_items, with {len(cold)} items taken out",
        "a smaller sequencing.cold_share",
    )
    return split


def paper_windows(
    sequences: Sequences,
    n_items: int,
    window_length: int,
    test_share: float,
    validation_share: float,
    seed: int,
    timestamps: np.ndarray | None = None,
    recent_share: float = 0.1,
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
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds;
            None without a clock.
        recent_share: share of the training interactions that is recent.

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
    windows_over = np.zeros(len(sequences.items), np.int64)
    for before in range(window_length):
        windows_over[train - before] += 1

    def rows(places: np.ndarray) -> Windows:
        return Windows(sequences, places, window_length - 1)

    return Split(
        rows(train),
        rows(validation),
        rows(test),
        *_count_items(sequences, windows_over > 0, n_items, timestamps, recent_share, windows_over),
    )


def whole_histories(sequences: Sequences, history_length: int) -> Windows:
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


def everything_bought(histories: Windows) -> Windows:
    """Make a row for each purchase with another before it.

    Args:
        histories: what :func:`whole_histories` made.
    """
    sequences = histories.sequences
    is_target = sequences.items > 0
    is_target[sequences.starts[:-1]] = False
    return Windows(sequences, np.flatnonzero(is_target), histories.history_length)


def count_purchases(
    sequences: Sequences, n_items: int, timestamps: np.ndarray | None, recent_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each item was bought, ever and of late.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        timestamps: when each item was bought, shape (interactions,), int64, UTC milliseconds;
            None without a clock.
        recent_share: share of the interactions that is recent, as in :class:`Split`.

    Returns:
        Two arrays of shape (items + 1,), int64.
    """
    every = np.ones(len(sequences.items), bool)
    return _count_items(sequences, every, n_items, timestamps, recent_share)


def tell_time(milliseconds: int) -> str:
    """Write a time, UTC milliseconds, as ISO 8601."""
    return (_EPOCH + int(milliseconds) * _MILLISECOND).isoformat(timespec="milliseconds")


def _last_items(sequences: Sequences, history_length: int) -> Windows:
    """Return a row for the last item of each user who has another before it."""
    last = sequences.starts[1:][sequences.lengths > 1] - 1
    return Windows(sequences, last, history_length)


def _hold_out_last(
    sequences: Sequences, ends: np.ndarray, history_length: int
) -> tuple[Windows, Windows, np.ndarray]:
    """Hold out the last of each user's items for validation.

    Args:
        sequences: the chronological sequences.
        ends: shape (users,), int64: the place after the last item of each user that may be
            used; what stands at it or after it is in neither part.
        history_length: longest history, in items.

    Returns:
        Training rows, validation rows, and the interactions that are training, shape
        (interactions,), bool.
    """
    first = sequences.starts[:-1]
    used = ends - first
    in_training = np.ones(len(sequences.items), bool)
    in_training[sequences.starts[1:] - 1] = False
    in_training[ends[used > 0] - 1] = False
    is_target = in_training.copy()
    is_target[first] = False
    return (
        Windows(sequences, np.flatnonzero(is_target), history_length),
        Windows(sequences, ends[used > 1] - 1, history_length),
        in_training,
    )


def _count_items(
    sequences: Sequences,
    in_training: np.ndarray,
    n_items: int,
    timestamps: np.ndarray | None,
    recent_share: float,
    times: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each item stands in training, in all of it and recently.

    Args:
        sequences: the chronological sequences.
        in_training: the interactions that are training, shape (interactions,), bool.
        n_items: size of the catalogue.
        timestamps: when each item was bought, UTC milliseconds; None without a clock.
        recent_share: share of the training interactions that is recent.
        times: how often each interaction counts, shape (interactions,), int64; None for once.

    Returns:
        ``training_counts`` and ``recent_counts`` of :class:`Split`.
    """

    def count(which: np.ndarray) -> np.ndarray:
        weights = None if times is None else times[which]
        counts = np.bincount(sequences.items[which], weights, n_items + 1)
        return counts.astype(np.int64, copy=False)

    is_recent = in_training & _recent(sequences, in_training, timestamps, recent_share)
    return count(in_training), count(is_recent)


def _recent(
    sequences: Sequences, in_training: np.ndarray, timestamps: np.ndarray | None, share: float
) -> np.ndarray:
    """Tell which interactions are of the most recent period of training, or later.

    Returns:
        Shape (interactions,), bool.
    """
    if timestamps is None:
        counted = np.concatenate([[0], np.cumsum(in_training, dtype=np.int64)])
        ends = counted[sequences.starts[1:]]
        per_user = ends - counted[sequences.starts[:-1]]
        wanted = np.maximum(1, np.rint(share * per_user)).astype(np.int64)
        return counted[1:] > np.repeat(ends - wanted, sequences.lengths)
    of_training = timestamps[in_training]
    if len(of_training) == 0:
        return in_training
    place = len(of_training) - max(1, round(share * len(of_training)))
    of_training.partition(place)
    return timestamps >= of_training[place]


def _refuse_empty(split: Split, told: str, mend: str) -> None:
    """Refuse a split of which a part has no row.

    Args:
        split: the split.
        told: how it was made.
        mend: what to set.

    Raises:
        InputError: saying how many rows each part has.
    """
    sizes = len(split.train), len(split.validation), len(split.test)
    if 0 in sizes:
        raise InputError(
            f"{told}:\n{sizes[0]} training, {sizes[1]} validation and {sizes[2]} test rows; "
            f"each part needs some\nSet {mend}, or use split=leave_one_out"
        )
