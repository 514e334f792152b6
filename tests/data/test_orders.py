"""Orders of several items: how they are read, split and listed."""

from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.sequences import Sequences, read_sequences
from bazar.data.splits import Splits, split_next_order
from bazar.data.windows import Windows, build_full_histories, build_interaction_rows
from bazar.errors import InputError
from tests.data.test_splits import list_lengths
from tests.models.order_rows import Orders, make_order_sequences, order_lists

N_ITEMS = 9
Row = tuple[str, Orders, list[int]]


def rows_of(windows: Windows) -> list[Row]:
    """Return the user, the orders of the history and the targets of each row."""
    histories: list[Orders] = [[] for _ in range(len(windows))]
    last_age = [-1] * len(windows)
    rows, items, ages = windows.list_history()
    assert rows.tolist() == sorted(rows.tolist())
    assert (rows.dtype, items.dtype, ages.dtype) == (np.int64, np.int32, np.int64)
    for row, item, age in zip(rows.tolist(), items.tolist(), ages.tolist(), strict=True):
        if age != last_age[row]:
            histories[row].append([])
        # The ages of a row go down to 0, without gaps.
        assert last_age[row] in {-1, age, age + 1}
        last_age[row] = age
        histories[row][-1].append(item)
    assert max(last_age, default=0) <= 0
    targets: Orders = [[] for _ in range(len(windows))]
    for row, item in zip(*windows.list_targets(), strict=True):
        targets[row].append(int(item))
    return list(zip(windows.user_ids.to_pylist(), histories, targets, strict=True))


def add_guests(users: list[Orders], guests: list[list[int]]) -> Sequences:
    """Make sequences of customers and guests. The orders of a guest have one item each."""
    sequences = make_order_sequences([*users, *([[item] for item in own] for own in guests)])
    return replace(sequences, guests=np.arange(len(users), len(users) + len(guests)))


def list_parts(split: Splits) -> list[list[Row]]:
    return [rows_of(part) for part in (split.train, split.validation, split.test)]


ONE, TWO, THREE, FOUR = (
    [[1, 2]],
    [[3], [5, 4]],
    [[1], [6, 2], [3]],
    [[1, 7], [2, 3], [4], [5, 1]],
)


def test_next_order_by_hand() -> None:
    split = split_next_order(
        add_guests([ONE, TWO, THREE, FOUR], [[8, 9, 8], [7]]), N_ITEMS, history_length=2
    )
    train, validation, test = list_parts(split)
    # A guest has a row for each line but the first. Customers with up to three orders have none.
    assert train == [
        ("u3", [[1, 7]], [2, 3]), ("u4", [[8]], [9]), ("u4", [[8], [9]], [8]),
    ]  # fmt: skip
    assert validation == [("u2", [[1]], [6, 2]), ("u3", [[1, 7], [2, 3]], [4])]
    # The history has two orders, of any number of lines.
    assert test == [
        ("u1", [[3]], [5, 4]), ("u2", [[1], [6, 2]], [3]), ("u3", [[2, 3], [4]], [5, 1]),
    ]  # fmt: skip
    # 1 2 · 3 · 1 · 1 7 2 3 · 8 9 8 · 7
    assert split.training_counts.tolist() == [0, 3, 2, 2, 0, 0, 0, 2, 2, 1]
    assert split.test.n_targets.tolist() == [2, 1, 2]
    # Lines, not orders; the history is limited, the number of seen lines is not.
    assert split.test.lengths.tolist() == [1, 3, 3]
    assert split.test.n_seen.tolist() == [1, 3, 5]


@given(order_lists(N_ITEMS, min_orders=1), st.integers(1, 7))
def test_next_order_agrees_with_a_simple_implementation(
    users: list[Orders], history_length: int
) -> None:
    def row(user: int, number: int) -> Row:
        orders = users[user]
        return f"u{user}", orders[max(0, number - history_length) : number], orders[number]

    sizes = [len(orders) for orders in users]
    expected = [
        [row(user, number) for user, size in enumerate(sizes) for number in range(1, size - 2)],
        [row(user, size - 2) for user, size in enumerate(sizes) if size > 2],
        [row(user, size - 1) for user, size in enumerate(sizes) if size > 1],
    ]
    sequences = make_order_sequences(users)
    if not all(expected):
        found = r"{} training, {} validation and {} test rows".format(*map(len, expected))
        with pytest.raises(InputError, match=found):
            split_next_order(sequences, N_ITEMS, history_length)
        return
    split = split_next_order(sequences, N_ITEMS, history_length)
    assert list_parts(split) == expected
    # The only order of a user, and the first of two, are in the training part.
    training = [orders[: max(1, len(orders) - 2)] for orders in users]
    counts = Counter(chain(*chain(*training)))
    assert split.training_counts.tolist() == [counts[item] for item in range(N_ITEMS + 1)]


def test_next_order_without_training_rows_raises() -> None:
    with pytest.raises(InputError) as error:
        split_next_order(make_order_sequences([THREE, TWO]), N_ITEMS, 5)
    assert str(error.value).splitlines() == [
        "split=next_order needs customers with at least 4 orders:",
        "0 training, 1 validation and 2 test rows. Every part needs at least one row.",
        "Set another split, or use split=leave_one_out.",
    ]


def test_targets_are_listed_once_per_row_and_repeats_are_found() -> None:
    sequences = make_order_sequences([[[1, 2], [3], [2, 4, 2, 3, 4]], [[5], [5]]])
    windows = Windows(sequences, np.array([3, 9]), history_length=1)
    rows, items = windows.list_targets()
    assert (rows.dtype, items.dtype) == (np.int64, np.int32)
    assert rows.tolist() == [0, 0, 0, 1]
    assert items.tolist() == [2, 4, 3, 5]
    # The item 2 was bought before the history of one order.
    assert windows.find_repeats().tolist() == [True, False, True, True]
    assert windows.n_targets.tolist() == [5, 1]
    assert windows.target_ends.tolist() == [8, 10]
    rows, items, ages = windows.list_history()
    assert (rows.tolist(), items.tolist(), ages.tolist()) == ([0, 1], [3, 5], [0, 0])


@given(order_lists(N_ITEMS), st.data())
def test_repeats_agree_with_a_simple_implementation(
    users: list[Orders], data: st.DataObject
) -> None:
    sequences = make_order_sequences(users)
    numbers = [
        data.draw(st.integers(1, len(orders) - 1), label="order of the targets") for orders in users
    ]
    first = np.array([0, *np.cumsum([len(orders) for orders in users])[:-1]])
    windows = Windows(sequences, sequences.find_order_starts(first + numbers), 3)
    expected = [
        item in chain(*orders[:number])
        for orders, number in zip(users, numbers, strict=True)
        for item in orders[number]
    ]
    assert windows.find_repeats().tolist() == expected


# How sequences are read.


@given(order_lists(n_items=6), st.integers(0, 3))
def test_any_repeat_is_found_without_listing_them(users: list[Orders], n_cut: int) -> None:
    split = split_next_order(make_order_sequences([*users, [[1], [2], [3], [4]]]), 9, 2)
    # Rows of a part do not see the orders of later parts.
    for rows in (split.train, split.validation, split.test):
        some = rows.slice_rows(0, len(rows) - n_cut)
        within = Windows(rows.sequences, some.target_positions, history_length=100)
        assert within.has_repeats() == within.find_repeats().any()


def read_lines(orders: list[int], ties: list[int], items: list[int], seed: int) -> list[int]:
    """Read the lines of one user, and return the items."""
    table = pa.table(
        {
            "item_index": pa.array(items, pa.int32()),
            "timestamp": pa.array([1_000 * order for order in orders], pa.int64()),
            "order_number": orders,
            "tie_number": ties,
        }
    )
    users = list_lengths(["u"], [len(items)])
    sequences = read_sequences(users, table.to_batches(max_chunksize=7), seed)
    assert sequences.orders is not None
    assert sequences.orders.dtype == np.int32
    assert sequences.orders.tolist() == [order - 1 for order in orders]
    assert sequences.timestamps is not None
    assert sequences.timestamps.tolist() == [1_000 * order for order in orders]
    return sequences.items.tolist()


N_ORDERS, N_LINES = 200, 6
ORDERS = np.repeat(np.arange(1, N_ORDERS + 1), N_LINES).tolist()
LINES = list(range(1, N_LINES + 1)) * N_ORDERS


def test_lines_of_an_order_are_shuffled_by_seed() -> None:
    first, again, other = (read_lines(ORDERS, ORDERS, LINES, seed) for seed in (1, 1, 2))
    assert first == again != other
    for items in (first, other):
        orders = np.reshape(items, (N_ORDERS, N_LINES))
        # Each order keeps its own lines.
        assert (np.sort(orders, axis=1) == np.arange(1, N_LINES + 1)).all()
        # One of 720 permutations is sorted by id: there is no trace of the order of the ids.
        assert np.count_nonzero((np.diff(orders, axis=1) > 0).all(axis=1)) <= 5
        assert np.abs(orders.mean(axis=0) - 3.5).max() < 0.5


def test_lines_with_positions_keep_their_order() -> None:
    assert read_lines(ORDERS, list(range(1, len(LINES) + 1)), LINES[::-1], 1) == LINES[::-1]
    # The first two lines of each order have no order among themselves.
    ties = [line - (line % N_LINES == 1) for line in range(len(LINES))]
    found = np.reshape(read_lines(ORDERS, ties, LINES, 1), (N_ORDERS, N_LINES))
    assert (found[:, 2:] == np.arange(3, N_LINES + 1)).all()
    assert 60 <= np.count_nonzero(found[:, 0] == 2) <= 140


def test_orders_are_numbered_over_all_users() -> None:
    table = pa.table(
        {
            "item_index": pa.array([1, 2, 3, 4, 5, 6, 7], pa.int32()),
            "timestamp": pa.array([1, 2, 2, 2, 3, 4, 4], pa.int64()),
            "order_number": [1, 2, 1, 1, 2, 1, 1],
            "tie_number": [1, 2, 1, 2, 3, 1, 1],
        }
    )
    users = list_lengths(["a", "b", "c"], [2, 3, 2], guests=1)
    sequences = read_sequences(users, table.to_batches(), 1)
    # Each line of a guest is an order.
    assert sequences.orders is not None
    assert sequences.orders.tolist() == [0, 1, 2, 2, 3, 4, 5]
    assert sequences.guests.tolist() == [2]
    assert sequences.number_orders(np.array([3, 5])).tolist() == [2, 4]
    assert sequences.find_order_starts(np.array([0, 2, 3, 6])).tolist() == [0, 2, 4, 7]
    # Orders that lose all of their lines leave no gap in the numbers.
    kept = sequences.filter(~np.isin(sequences.items, [2, 3, 6, 7]))
    assert kept.orders is not None
    assert kept.timestamps is not None
    assert kept.user_ids.to_pylist() == ["a", "b"]
    assert kept.items.tolist() == [1, 4, 5]
    assert kept.orders.tolist() == [0, 1, 2]
    assert kept.timestamps.tolist() == [1, 2, 3]


# Requests and files.


def make_timed_shop() -> Sequences:
    """Make two customers and a guest, with the times 0, 1 and so on of their orders, in days."""
    users = [[[1, 2], [3]], [[4]], [[5], [6]]]
    sequences = make_order_sequences(users, [[0, 1], [9], [2, 2]])
    return replace(sequences, guests=np.array([2]))


DAY = 86_400_000


def test_full_histories_have_an_open_order_behind_the_last_one() -> None:
    windows = build_full_histories(make_timed_shop(), history_length=5)
    assert rows_of(windows) == [("u0", [[1, 2], [3]], [0]), ("u1", [[4]], [0])]
    assert windows.request_times is not None
    # The time of the request is the last time of the shop.
    assert windows.request_times.tolist() == [9 * DAY, 9 * DAY]
    windows = build_full_histories(make_timed_shop(), 1, request_time=4 * DAY)
    assert rows_of(windows) == [("u0", [[3]], [0]), ("u1", [[4]], [0])]
    assert windows.request_times is not None
    # A request is not earlier than the last purchase.
    assert windows.request_times.tolist() == [4 * DAY, 9 * DAY]
    assert [row for row in rows_of(build_interaction_rows(windows)) if row[2] != [0]] == [
        ("u0", [[1, 2]], [3]), ("u2", [[5]], [6]),
    ]  # fmt: skip


def test_full_histories_without_times_have_no_request_times() -> None:
    sequences = replace(make_timed_shop(), timestamps=None)
    windows = build_full_histories(sequences, 5, request_time=4 * DAY)
    assert windows.request_times is None
    assert rows_of(windows) == rows_of(build_full_histories(make_timed_shop(), 5))


@pytest.mark.parametrize("has_times", [True, False])
@pytest.mark.parametrize("has_orders", [True, False])
@pytest.mark.parametrize("has_guests", [True, False])
def test_arrow_round_trip(has_times: bool, has_orders: bool, has_guests: bool) -> None:
    sequences = make_timed_shop()
    if not has_times:
        sequences = replace(sequences, timestamps=None)
    if not has_orders:
        sequences = replace(sequences, orders=None)
    if not has_guests:
        sequences = replace(sequences, guests=np.empty(0, np.int64))
    windows = build_full_histories(sequences, 5)
    again = Windows.from_arrow(windows.to_arrow())
    assert rows_of(again) == rows_of(windows)
    assert again.history_length == 5
    assert again.sequences.guests.tolist() == sequences.guests.tolist()
    for name in ("orders", "timestamps"):
        found, expected = getattr(again.sequences, name), getattr(windows.sequences, name)
        if expected is None:
            assert found is None
        else:
            assert found.dtype == expected.dtype
            assert found.tolist() == expected.tolist()
