"""Days: unknown times, shuffles of equal days, and targets on a new day."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.protocols import check_equal_days, count_new_days
from bazar.data.sequences import DAY_MS, Sequences, read_sequences
from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows, build_full_histories
from bazar.errors import InputError
from tests.data.test_splits import list_lengths

Times = Sequence[Sequence[float | None]]


def read_days(users: Times, seed: int = 1, shuffle_equal_days: bool = True) -> Sequences:
    """Read the interactions of users, from their days. The items are 1, 2, 3 and so on."""
    days = [day for own in users for day in own]
    numbers = [number for own in users for number in range(1, len(own) + 1)]
    items = pa.table(
        {
            "item_index": pa.array(range(1, len(days) + 1), pa.int32()),
            "timestamp": pa.array(
                [None if day is None else int(day * DAY_MS) for day in days], pa.int64()
            ),
            "order_number": numbers,
            "tie_number": numbers,
        }
    )
    return read_sequences(
        list_lengths([f"u{number:03}" for number in range(len(users))], list(map(len, users))),
        items.to_batches(max_chunksize=3),
        seed,
        shuffle_equal_days,
    )


def list_days(sequences: Sequences) -> list[float]:
    assert sequences.timestamps is not None
    return (sequences.timestamps / DAY_MS).tolist()


def test_unknown_times_take_the_time_before_them_or_else_after_them() -> None:
    sequences = read_days(
        [[None, 3, None, 5, None], [None, None], [7]], shuffle_equal_days=False
    )  # fmt: skip
    # The second user has no known time, and takes the median of 3, 5 and 7.
    assert list_days(sequences) == [3, 3, 3, 5, 5, 5, 5, 7]
    assert sequences.untimed.tolist() == [0, 2, 4, 5, 6]
    assert sequences.has_time.tolist() == [False, True, False, True] + [False] * 3 + [True]
    assert sequences.items.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("days", [[1, 2, 2], [None, None, None]])
def test_no_time_is_estimated_if_all_or_none_are_known(days: list[int | None]) -> None:
    sequences = read_days([days], shuffle_equal_days=False)
    assert len(sequences.untimed) == 0
    assert (sequences.timestamps is None) == (days[0] is None)
    assert sequences.has_time.all() == (days[0] is not None)


def test_unknown_times_follow_the_interactions() -> None:
    sequences = read_days([[None, 1, 2, 3], [4, None, 5]], shuffle_equal_days=False)
    kept = sequences.filter(~np.isin(sequences.items, [2, 5]))
    assert kept.items.tolist() == [1, 3, 4, 6, 7]
    assert kept.untimed.tolist() == [0, 3]
    opened = build_full_histories(sequences, 5).sequences
    assert opened.items.tolist() == [1, 2, 3, 4, 0, 5, 6, 7, 0]
    assert opened.untimed.tolist() == [0, 6]
    windows = Windows(sequences, np.array([2, 6]), 5)
    again = Windows.from_arrow(windows.to_arrow()).sequences
    assert again.untimed.tolist() == [0, 5]
    # A request of one user has a copy of the times of the user.
    moved = windows.slice_rows(1, 2).move_requests(9 * DAY_MS)
    assert moved.sequences.untimed.tolist() == [1]
    assert list_days(moved.sequences) == [4, 4, 9]


# Shuffles


MIXED: Times = [[1, 1, 1, 1, 2, 2, 2, 5], [1, 1, None, 1, None, 3, 3, 3, 3], [1, 2, 3, 4]]


def shuffle(seed: int) -> list[list[int]]:
    """Return the items of each user of MIXED after a shuffle."""
    sequences = read_days(MIXED, seed)
    return [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]


def test_only_items_of_one_day_change_places() -> None:
    for seed in range(10):
        first, second, third = shuffle(seed)
        assert sorted(first[:4]) == [1, 2, 3, 4]
        assert sorted(first[4:7]) == [5, 6, 7]
        assert first[7] == 8
        # Interactions without a day keep their place, also between two of one day.
        assert (second[2], second[4]) == (11, 13)
        assert sorted([second[0], second[1], second[3]]) == [9, 10, 12]
        assert sorted(second[5:]) == [14, 15, 16, 17]
        # All days of this user are distinct.
        assert third == [18, 19, 20, 21]


def test_a_seed_reproduces_the_shuffle_and_five_seeds_differ() -> None:
    orders = [shuffle(seed) for seed in (1, 2, 3, 4, 5)]
    assert orders == [shuffle(seed) for seed in (1, 2, 3, 4, 5)]
    assert len({str(order) for order in orders}) == 5
    assert read_days(MIXED, shuffle_equal_days=False).items.tolist() == list(range(1, 22))


def test_each_order_within_a_day_is_equally_likely() -> None:
    sequences = read_days([[1, 1, 1]] * 6_000)
    orders = sequences.items.reshape(-1, 3) - 3 * np.arange(6_000)[:, None]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    # 1,000 of each are expected, with a standard deviation of 29.
    assert np.abs(counts - 1_000).max() < 150


day_lists = st.lists(
    st.lists(st.integers(0, 4) | st.none(), min_size=1, max_size=9).map(
        lambda days: days if None in days else sorted(days, key=lambda day: day or 0)
    ),
    min_size=1,
    max_size=6,
).filter(lambda users: any(day is not None for own in users for day in own))


@given(day_lists, st.integers(0, 9))
def test_a_shuffle_keeps_the_days_and_the_items_of_each_day(users: Times, seed: int) -> None:
    source, shuffled = read_days(users, seed, False), read_days(users, seed)
    assert list_days(shuffled) == list_days(source)
    assert shuffled.untimed.tolist() == source.untimed.tolist()
    owners = np.repeat(np.arange(len(source.lengths)), source.lengths)
    days = np.where(source.has_time, list_days(source), -1 - np.arange(len(owners)))

    def list_groups(sequences: Sequences) -> list[tuple[float, float, int]]:
        return sorted(zip(owners.tolist(), days.tolist(), sequences.items.tolist(), strict=True))

    assert list_groups(shuffled) == list_groups(source)


def test_times_of_day_are_removed() -> None:
    """No model can see the order within a day."""
    assert list_days(read_days([[1.25, 1.5, 2.75, None]])) == [1, 1, 2, 2]
    assert list_days(read_days([[1.25, 1.5]], shuffle_equal_days=False)) == [1.25, 1.5]


def test_equal_days_cannot_be_shuffled_within_orders_or_without_times() -> None:
    sequences = read_days([[1, 1, 2]])
    check_equal_days("a.key", False, sequences)
    with pytest.raises(
        InputError, match=r"a.key is true, but the protocol is next_order.*\nSet a.key to false"
    ):
        check_equal_days("a.key", True, sequences)
    with pytest.raises(InputError, match="no interaction has a timestamp"):
        check_equal_days("a.key", False, replace(sequences, timestamps=None))


# Targets on a new day


def test_days_before_a_target_by_hand() -> None:
    users = [[1, 1.9], [1.9, 2], [1, 9], [None, 2], [1, None], [2, 1], [5], [1, None, 1]]
    sequences = replace(read_days(users, shuffle_equal_days=False), orders=None)
    test = split_leave_one_out(sequences, 20, 5).test
    np.testing.assert_array_equal(
        test.compute_days_since_last(), [0, 1, 8, np.nan, np.nan, -1, np.nan]
    )
    assert count_new_days(test) == {"new_day_test_rows": 2, "same_day_test_rows": 1}
    # The first interaction of a user has none before it.
    assert np.isnan(Windows(sequences, sequences.starts[:-1], 5).compute_days_since_last()).all()


def test_data_without_times_has_no_days() -> None:
    windows = Windows(read_days([[None, None]]), np.array([1]), 5)
    assert np.isnan(windows.compute_days_since_last()).all()
    assert count_new_days(windows) == {}


def test_a_shuffle_does_not_change_which_targets_are_on_a_new_day() -> None:
    days = [
        split_leave_one_out(replace(read_days(MIXED, seed), orders=None), 30, 5)
        .test.compute_days_since_last()
        .tolist()
        for seed in range(5)
    ]
    assert days == [[3, 0, 1]] * 5
