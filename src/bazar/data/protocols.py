"""Decisions that follow from the data: the protocol, and which results come first."""

from typing import Literal

import numpy as np

from bazar.config.data import Protocol, Split
from bazar.data.sequences import Sequences
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.errors import InputError

FilterMode = Literal["filtered", "unfiltered"]

MIN_SHARE_OF_LARGE_ORDERS = 0.1
"""``auto`` chooses ``next_order`` if at least this share of the orders has several items."""
MAX_REPEAT_SHARE = 0.05
"""If a larger share of the validation targets are repeats, unfiltered results come first."""


def choose_protocol(split: Split, sequences: Sequences) -> tuple[Protocol, str]:
    """Choose the protocol of ``split: auto``; return any other split unchanged.

    Args:
        split: the parameter ``split``.
        sequences: the chronological sequences, with the orders of each user.

    Returns:
        The protocol, and the reason for the choice; empty if ``split`` is not ``auto``.
    """
    if split != "auto":
        return split, ""
    of_customers = ~np.repeat(sequences.is_guest, sequences.lengths)
    numbers = sequences.number_orders(np.flatnonzero(of_customers))
    _, n_lines = np.unique(numbers, return_counts=True)
    n_orders = len(n_lines)
    n_large = int(np.count_nonzero(n_lines > 1))
    share = n_large / n_orders if n_orders else 0.0
    found = f"{n_large:,} of {n_orders:,} orders ({share:.0%}) have several items"
    if share < MIN_SHARE_OF_LARGE_ORDERS:
        return "leave_one_out", found
    n_customers = _count_customers_with_orders(sequences, 4)
    if n_customers == 0:
        return "leave_one_out", f"{found}, but no customer has 4 orders"
    return "next_order", found


def check_equal_days(key: str, predicts_orders: bool, sequences: Sequences) -> None:
    """Raise InputError if ``shuffle_equal_days`` is not possible.

    Args:
        key: name of the parameter.
        predicts_orders: whether the protocol is ``next_order``.
        sequences: the chronological sequences.

    Raises:
        InputError: if the protocol predicts orders, or no time is known.
    """
    problem = ""
    if predicts_orders:
        problem = "the protocol is next_order: the items of an order have no sequence"
    elif sequences.timestamps is None:
        problem = "no interaction has a timestamp"
    if problem:
        raise InputError(f"{key} is true, but {problem}.\nSet {key} to false.")


def count_targets(parts: Splits) -> dict[str, int]:
    """Count the test targets: all, those that are cold, and those that are repeats.

    Returns:
        ``test_targets``, ``cold_test_rows`` (rows with a cold target), ``cold_test_targets``,
        ``repeat_test_rows`` (rows with a repeat) and ``repeat_test_targets``.
    """
    rows, items = parts.test.list_targets()
    is_cold = parts.training_counts[items] == 0
    is_repeat = parts.test.find_repeats()
    return {
        "test_targets": len(rows),
        "cold_test_rows": len(np.unique(rows[is_cold])),
        "cold_test_targets": int(np.count_nonzero(is_cold)),
        "repeat_test_rows": len(np.unique(rows[is_repeat])),
        "repeat_test_targets": int(np.count_nonzero(is_repeat)),
    }


def count_new_days(test: Windows) -> dict[str, int]:
    """Count the test rows by the day of the target and the day of the item before it, in UTC.

    Args:
        test: rows with one target each.

    Returns:
        ``new_day_test_rows`` (the target has a later day) and ``same_day_test_rows``. Rows in which
        one of the days is unknown are in neither. Empty if the data has no timestamps.
    """
    if test.sequences.timestamps is None:
        return {}
    days = test.compute_days_since_last()
    return {
        "new_day_test_rows": int(np.count_nonzero(days > 0)),
        "same_day_test_rows": int(np.count_nonzero(days == 0)),
    }


def choose_filter_mode(rows: Windows) -> FilterMode:
    """Choose which results come first: with or without the items that a user bought before.

    Args:
        rows: the validation rows. Models are selected by the results that come first. Therefore the
            test part must not have an influence.

    Returns:
        ``unfiltered`` if more than 5% of the targets are repeats, else ``filtered``.
    """
    is_repeat = rows.find_repeats()
    n_repeats = int(np.count_nonzero(is_repeat))
    return "unfiltered" if n_repeats > MAX_REPEAT_SHARE * len(is_repeat) else "filtered"


def _count_customers_with_orders(sequences: Sequences, n_orders: int) -> int:
    first = sequences.number_orders(sequences.starts[:-1])
    last = sequences.number_orders(sequences.starts[1:] - 1)
    return int(np.count_nonzero((last - first + 1 >= n_orders) & ~sequences.is_guest))
