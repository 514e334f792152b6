"""Split sequences into training, validation and test rows, with one function per protocol.

The orders of guests are used only for training: they have no validation and no test rows.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from bazar.data.counts import count_training_interactions
from bazar.data.sequences import IntArray, Sequences
from bazar.data.windows import Windows, list_order_starts
from bazar.errors import InputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Splits:
    """Training, validation and test rows, and the item counts of the training part.

    Attributes:
        train: rows to train on.
        validation: rows for early stopping and for the selection of models.
        test: rows for the final evaluation.
        training_counts: shape (items + 1,), int64, number of times each item occurs in the
            training part; 0 for cold items.
        recent_counts: shape (items + 1,), int64, the same for the recent training interactions;
            see :func:`bazar.data.counts.count_training_interactions`.
        summary: sizes of the data set and of the parts: the content of ``split_summary.json``.
    """

    train: Windows
    validation: Windows
    test: Windows
    training_counts: np.ndarray
    recent_counts: np.ndarray
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def filter_seen(self) -> bool:
        """Whether results without the items that a user bought before come first.

        Models are selected by these results.
        """
        return bool(self.summary.get("filter_mode", "filtered") == "filtered")


def split_leave_one_out(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    recent_share: float = 0.1,
) -> Splits:
    """Hold out each user's last item for test and the one before it for validation.

    The other items are the training part. Each of them except the first is a target once, with the
    items before it as the history. A user with two items has a test row and no validation row.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: maximum length of a history; the latest items are kept.
        recent_share: share of the training interactions that are recent.
    """
    train, validation, in_training = _hold_out_last(
        sequences, sequences.starts[1:] - 1, history_length
    )
    return Splits(
        train,
        validation,
        _last_items(sequences, history_length),
        *count_training_interactions(sequences, in_training, n_items, recent_share),
    )


def split_next_order(
    sequences: Sequences, n_items: int, history_length: int, recent_share: float = 0.1
) -> Splits:
    """Hold out each user's last order for test and the one before it for validation.

    The earlier orders are the training part. Each of them except the first is the target of one
    row, with the orders before it as the history. A user with two orders has a test row and no
    validation row. A user with one order has no row, and the order is in the training part.

    Args:
        sequences: the chronological sequences, with the orders of each user.
        n_items: size of the catalogue.
        history_length: maximum length of a history, in orders; the latest orders are kept.
        recent_share: share of the training interactions that are recent.

    Raises:
        InputError: if a part has no row.
    """
    ends = sequences.starts[1:]
    first = sequences.number_orders(sequences.starts[:-1])
    last = sequences.number_orders(ends - 1)
    is_customer = ~sequences.is_guest
    test = sequences.find_order_starts(last)[is_customer & (last > first)]
    validation = sequences.find_order_starts(last - 1)[is_customer & (last > first + 1)]
    # Orders after the training part. A user with a single order, and a guest, has none of them.
    n_held_out = np.where(is_customer, np.minimum(last - first, 2), 0)
    last_training = np.repeat(last - n_held_out, sequences.lengths)
    numbers = sequences.number_orders(np.arange(len(sequences.items)))
    in_training = numbers <= last_training
    counts = count_training_interactions(sequences, in_training, n_items, recent_share)
    split = Splits(
        Windows(sequences, list_order_starts(sequences, in_training), history_length),
        Windows(sequences, validation, history_length),
        Windows(sequences, test, history_length),
        *counts,
    )
    _check_no_part_is_empty(
        split, "split=next_order needs customers with at least 4 orders", "another split"
    )
    return split


def require_timestamps(sequences: Sequences) -> np.ndarray:
    """Return the timestamps of sequences, or raise InputError if one of them is unknown."""
    if sequences.timestamps is None or len(sequences.untimed):
        raise InputError(
            "split=temporal needs the time of every purchase, but some interactions have no "
            "timestamp.\n"
            "Set columns.timestamp of the source in conf/<env>/globals.yml, or use "
            "split=leave_one_out."
        )
    return sequences.timestamps


def find_cut_times(
    timestamps: np.ndarray, validation_from: float | datetime, test_from: float | datetime
) -> tuple[int, int]:
    """Return the start times of the validation and test parts of :func:`split_temporal`.

    A share is converted to the time of the first interaction after that share of all interactions
    in order of time. Interactions at exactly that time belong to the later part.

    Args:
        timestamps: time of each interaction, shape (interactions,), int64, UTC milliseconds.
        validation_from: start of validation, as a share of the interactions or as a time.
        test_from: start of test, as a share or as a time.

    Returns:
        The start of validation and the start of test, UTC milliseconds.

    Raises:
        InputError: if validation does not start before test.
    """

    def find_time(cut: float | datetime) -> int:
        if isinstance(cut, datetime):
            return (cut - _EPOCH) // _MILLISECOND
        position = min(round(cut * len(timestamps)), len(timestamps) - 1)
        return int(np.partition(timestamps, position)[position])

    validation_time, test_time = find_time(validation_from), find_time(test_from)
    if validation_time >= test_time:
        raise InputError(
            f"sequencing.temporal: validation must start before test, found validation from "
            f"{format_time(validation_time)} and test from {format_time(test_time)}.\n"
            "Set validation_from and test_from further apart."
        )
    return validation_time, test_time


def split_temporal(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    validation_from: int,
    test_from: int,
    recent_share: float = 0.1,
) -> Splits:
    """Split at two times: training before the first, validation between them, test after.

    Each interaction except the first of a user is a row of the part that contains its time. Its
    history contains all earlier interactions of the user, in any part. An interaction at exactly
    the start of a part belongs to that part.

    Args:
        sequences: the chronological sequences, with timestamps.
        n_items: size of the catalogue.
        history_length: maximum length of a history; the latest items are kept.
        validation_from: start of validation, UTC milliseconds.
        test_from: start of test, UTC milliseconds, later than ``validation_from``.
        recent_share: share of the training interactions that are recent.

    Raises:
        InputError: if a part has no row, or the sequences have no timestamps.
    """
    timestamps = require_timestamps(sequences)
    is_target = np.ones(len(sequences.items), bool)
    is_target[sequences.starts[:-1]] = False
    part = np.searchsorted([validation_from, test_from], timestamps, side="right")
    # Later orders of guests are left out: in training, they would be from the future.
    is_target &= ~_belongs_to_guest(sequences) | (part == 0)

    def make_part(number: int) -> Windows:
        return Windows(sequences, np.flatnonzero(is_target & (part == number)), history_length)

    split = Splits(
        make_part(0),
        make_part(1),
        make_part(2),
        *count_training_interactions(sequences, part == 0, n_items, recent_share),
    )
    _check_no_part_is_empty(
        split,
        f"split=temporal with validation from {format_time(validation_from)} and test from "
        f"{format_time(test_from)}, for purchases from {format_time(timestamps.min())} to "
        f"{format_time(timestamps.max())}",
        "other sequencing.temporal.validation_from and test_from",
    )
    return split


def sample_cold_items(sequences: Sequences, share: float, seed: int) -> IntArray:
    """Sample the items that :func:`split_cold_items` removes from training.

    Args:
        sequences: the sequences. Only items that occur in them are sampled.
        share: share of the items in the sequences to sample.
        seed: seed of the sample.

    Returns:
        Item indices, shape (sampled,), int32, ascending; at least one.
    """
    occurring = np.unique(sequences.items)
    n_drawn = max(1, round(share * len(occurring)))
    return np.sort(np.random.default_rng(seed).choice(occurring, n_drawn, replace=False))


def split_cold_items(
    sequences: Sequences,
    n_items: int,
    history_length: int,
    cold: IntArray,
    recent_share: float = 0.1,
) -> Splits:
    """Remove items from training and validation, and hold out each user's last item for test.

    The test part is the same as in :func:`split_leave_one_out`: its targets and histories include
    cold items. For training and validation, the cold items and the test items are removed from the
    sequences. The last remaining item of each user is the validation target.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        history_length: maximum length of a history; the latest items are kept.
        cold: shape (any,), int32, the item indices to remove.
        recent_share: share of the training interactions that are recent.

    Raises:
        InputError: if a part has no row.
    """
    is_cold = np.zeros(n_items + 1, bool)
    is_cold[cold] = True
    keep = ~is_cold[sequences.items]
    keep[sequences.starts[1:][~sequences.is_guest] - 1] = False
    reduced = sequences.filter(keep)
    train, validation, in_training = _hold_out_last(reduced, reduced.starts[1:], history_length)
    split = Splits(
        train,
        validation,
        _last_items(sequences, history_length),
        *count_training_interactions(reduced, in_training, n_items, recent_share),
    )
    _check_no_part_is_empty(
        split,
        f"split=cold_items with {len(cold)} cold items",
        "a smaller sequencing.cold_share",
    )
    return split


def split_shuffled_windows(
    sequences: Sequences,
    n_items: int,
    window_length: int,
    test_share: float,
    validation_share: float,
    seed: int,
    recent_share: float = 0.1,
) -> Splits:
    """Cut every sequence into overlapping windows, and assign them to the parts at random.

    The last item of a window is the target. Overlapping windows of one user are in both training
    and test, so this protocol is leaky and its metrics are too high. Use it only to reproduce the
    original study, not to compare models.

    Args:
        sequences: the chronological sequences.
        n_items: size of the catalogue.
        window_length: number of items in a window, including the target, 2 to 10.
        test_share: share of all windows that are test.
        validation_share: share of the remaining windows that are validation.
        seed: seed of both shuffles.
        recent_share: share of the training interactions that are recent.

    Raises:
        InputError: if fewer than three windows can be cut.
    """
    is_target = np.ones(len(sequences.items), bool)
    for before in range(window_length - 1):
        is_target[sequences.starts[:-1][sequences.lengths > before] + before] = False
    is_of_guest = _belongs_to_guest(sequences)
    positions = np.flatnonzero(is_target & ~is_of_guest)
    if len(positions) < 3:
        raise InputError(
            f"split=shuffled_windows needs at least 3 windows of {window_length} items, but only "
            f"{len(positions)} can be cut from {len(sequences.user_ids)} sequences.\n"
            "Set a smaller sequencing.window_length, or use split=leave_one_out."
        )
    rest, test = train_test_split(positions, test_size=test_share, random_state=seed)
    train, validation = train_test_split(rest, test_size=validation_share, random_state=seed)
    train = np.concatenate([train, np.flatnonzero(is_target & is_of_guest)])
    # An interaction counts once for each training window that contains it.
    n_windows = np.zeros(len(sequences.items), np.int64)
    for before in range(window_length):
        n_windows[train - before] += 1

    def make_part(target_positions: np.ndarray) -> Windows:
        return Windows(sequences, target_positions, window_length - 1)

    return Splits(
        make_part(train),
        make_part(validation),
        make_part(test),
        *count_training_interactions(sequences, n_windows > 0, n_items, recent_share, n_windows),
    )


def check_row_numbers(**n_rows: int) -> None:
    """Raise InputError if one of the parts that a model needs has no rows.

    Args:
        n_rows: number of rows, by the name of the part, such as ``training=7``.
    """
    if 0 in n_rows.values():
        found = " and ".join(f"{number} {part} rows" for part, number in n_rows.items())
        raise InputError(
            f"There are {found}: the histories are too short.\nA customer needs 2 purchases for a "
            "test row, 3 for a validation row and 4 for a training row; with split=next_order, as "
            "many orders. Guests have only training rows. If customers have more purchases, check "
            "columns.user_id in globals.yml."
        )


def format_time(milliseconds: int) -> str:
    """Format a time in UTC milliseconds as ISO 8601."""
    return (_EPOCH + int(milliseconds) * _MILLISECOND).isoformat(timespec="milliseconds")


def _last_items(sequences: Sequences, history_length: int) -> Windows:
    """Return one row for each customer with at least two items. The last item is the target."""
    last = sequences.starts[1:][(sequences.lengths > 1) & ~sequences.is_guest] - 1
    return Windows(sequences, last, history_length)


def _belongs_to_guest(sequences: Sequences) -> np.ndarray:
    """Return whether each interaction is of a guest, shape (interactions,), bool."""
    return np.repeat(sequences.is_guest, sequences.lengths)


def _hold_out_last(
    sequences: Sequences, ends: np.ndarray, history_length: int
) -> tuple[Windows, Windows, np.ndarray]:
    """Hold out the last usable item of each customer for validation. The others are training.

    Args:
        sequences: the chronological sequences.
        ends: shape (users,), int64, the position after the last usable item of each user. Later
            items are in neither part.
        history_length: maximum length of a history.

    Returns:
        Training rows, validation rows, and whether each interaction is in the training part, shape
        (interactions,), bool.
    """
    first = sequences.starts[:-1]
    used = ends - first
    in_training = np.ones(len(sequences.items), bool)
    in_training[sequences.starts[1:] - 1] = False
    in_training[ends[used > 0] - 1] = False
    in_training |= _belongs_to_guest(sequences)
    is_target = in_training.copy()
    is_target[first] = False
    return (
        Windows(sequences, np.flatnonzero(is_target), history_length),
        Windows(sequences, ends[(used > 1) & ~sequences.is_guest] - 1, history_length),
        in_training,
    )


def _check_no_part_is_empty(split: Splits, description: str, fix: str) -> None:
    """Raise InputError if a part of a split has no rows.

    Args:
        split: the split.
        description: description of the split, for the message.
        fix: the parameters to change, for the message.

    Raises:
        InputError: with the number of rows of each part.
    """
    sizes = len(split.train), len(split.validation), len(split.test)
    if 0 in sizes:
        raise InputError(
            f"{description}:\n"
            f"{sizes[0]} training, {sizes[1]} validation and {sizes[2]} test rows. "
            f"Every part needs at least one row.\nSet {fix}, or use split=leave_one_out."
        )
