"""Shuffles of the equal days of training rows."""

from dataclasses import replace
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.training.equal_days import EqualDays
from tests.data.test_days import Times, day_lists, list_days, read_days


def split_days(users: Times) -> Windows:
    """Return the training rows. The last two items of each user are not in them."""
    sequences = replace(read_days(users, shuffle_equal_days=False), orders=None)
    return split_leave_one_out(sequences, len(sequences.items), 20).train


def shuffle(rows: Windows, seed: int) -> list[list[int]]:
    """Return the items of each user after a shuffle."""
    items = EqualDays.from_rows(rows).shuffle(rows.sequences.items, np.random.default_rng(seed))
    return [part.tolist() for part in np.split(items, rows.sequences.starts[1:-1])]


def test_validation_and_test_items_never_change_positions() -> None:
    rows = split_days([[1, 1, 1, 1, 1], [2, 2, 2, 3, 3, 3], [None, 4, 4, 4, None, 4, 4, 4]])
    orders = set()
    for seed in range(50):
        first, second, third = shuffle(rows, seed)
        assert sorted(first[:3]) == [1, 2, 3]
        assert first[3:] == [4, 5]
        assert sorted(second[:3]) == [6, 7, 8]
        assert second[3:] == [9, 10, 11]
        # Items without a known time keep their positions.
        assert (third[0], third[4]) == (12, 16)
        assert sorted([*third[1:4], third[5]]) == [13, 14, 15, 17]
        assert third[6:] == [18, 19]
        orders.add((*first[:3], *second[:3]))
    # Nearly all of the 36 orders of the first two users.
    assert len(orders) > 20
    assert rows.sequences.items.tolist() == list(range(1, 20))


def test_a_day_is_a_utc_day_of_one_user() -> None:
    """Also with times of day, and before 1970: the last day of one user is not the next user's."""
    rows = split_days([[-1.5, -0.75, -0.5, 5, 6], [0.25, 0.5, 1.75, 5, 6]])
    found = {str(shuffle(rows, seed)) for seed in range(30)}
    first = ([1, 2, 3, 4, 5], [1, 3, 2, 4, 5])
    second = ([6, 7, 8, 9, 10], [7, 6, 8, 9, 10])
    assert found == {str([one, other]) for one in first for other in second}


@given(day_lists, st.integers(0, 9))
def test_a_shuffle_keeps_the_items_of_each_day(users: Times, seed: int) -> None:
    rows = split_days([*users, [1, 1, 1, 1]])
    source = rows.sequences
    owners = np.repeat(np.arange(len(source.lengths)), source.lengths)
    is_movable = rows.mark_used_interactions() & source.has_time
    days = np.where(is_movable, list_days(source), -1 - np.arange(len(owners)))
    groups = [
        sorted(zip(owners.tolist(), days.tolist(), items, strict=True))
        for items in (source.items.tolist(), chain(*shuffle(rows, seed)))
    ]
    assert groups[0] == groups[1]
