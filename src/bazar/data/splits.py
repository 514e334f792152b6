"""From sequences to rows of (history, target): the splits.

Everything here is integer arrays. Index 0 is padding; items start at 1. What a row holds is a
slice of its user's sequence, and is made when it is asked for: rows of any number cost eight bytes
each, not a history each.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sklearn.model_selection import train_test_split

from bazar.data.counts import _count_items
from bazar.data.sequences import IntArray, Sequences
from bazar.data.windows import Windows
from bazar.errors import InputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


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


def require_timestamps(timestamps: np.ndarray | None) -> np.ndarray:
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
            f"sequencing.temporal: validation would begin at {format_time(validation_time)}, and "
            f"test at {format_time(test_time)}, which is not later\n"
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
        f"split=temporal, with validation from {format_time(validation_from)} and test from "
        f"{format_time(test_from)}, of purchases from {format_time(timestamps.min())} to "
        f"{format_time(timestamps.max())}",
        "sequencing.temporal.validation_from and test_from elsewhere",
    )
    return split


def sample_cold_items(sequences: Sequences, share: float, seed: int) -> IntArray:
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


def shuffled_windows(
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


def format_time(milliseconds: int) -> str:
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
