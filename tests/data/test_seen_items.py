"""How often and how long ago each item was bought before a request."""

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.seen_items import MAX_INTERACTIONS, SeenItems, list_seen_items
from bazar.data.windows import Windows
from tests.models.order_rows import Orders, make_order_sequences, make_requests, order_lists

SHOP = [[[1, 2, 1], [1], [3, 2], [4]], [[5], [6]]]
DAYS = [[0, 10, 30, 40], [7.5, 7.75]]


def make_rows(days: list[list[float]] | None) -> Windows:
    """Make a row for the last order of each user."""
    return Windows(make_order_sequences(SHOP, days), np.array([6, 8]), history_length=1)


def list_values(seen: SeenItems) -> list[tuple[float, ...]]:
    """List row, item, count, days since the first and the last purchase, orders since, orders."""
    columns = (
        seen.rows, seen.items, seen.counts, seen.first_days, seen.last_days, seen.orders_since,
        seen.n_orders,
    )  # fmt: skip
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_purchases_with_a_clock_by_hand() -> None:
    # All orders count, although the history has one order.
    seen = list_seen_items(make_rows(DAYS))
    assert list_values(seen) == [
        (0, 1, 2, 40, 30, 1, 3),
        (0, 2, 2, 40, 10, 0, 3),
        (0, 3, 1, 10, 10, 0, 3),
        (1, 5, 1, 0.25, 0.25, 0, 1),
    ]
    np.testing.assert_array_equal(seen.mean_gaps, [10, 30, np.nan, np.nan])
    assert list_values(seen.filter(seen.items == 3)) == [(0, 3, 1, 10, 10, 0, 3)]


def test_without_a_clock_a_day_is_an_order() -> None:
    seen = list_seen_items(make_rows(None))
    assert list_values(seen) == [
        (0, 1, 2, 3, 2, 1, 3), (0, 2, 2, 3, 1, 0, 3), (0, 3, 1, 1, 1, 0, 3), (1, 5, 1, 1, 1, 0, 1),
    ]  # fmt: skip
    np.testing.assert_array_equal(seen.mean_gaps, [1, 2, np.nan, np.nan])


def test_the_time_of_the_request_counts() -> None:
    seen = list_seen_items(make_requests(SHOP, DAYS, request_day=100))
    ages = dict(zip(zip(seen.rows.tolist(), seen.items.tolist(), strict=True), seen.last_days,
                    strict=True))  # fmt: skip
    assert ages == {
        (0, 1): 90, (0, 2): 70, (0, 3): 70, (0, 4): 60, (1, 5): 92.5, (1, 6): 92.25,
    }  # fmt: skip


@given(order_lists(9), st.booleans())
def test_purchases_agree_with_a_simple_implementation(users: list[Orders], has_clock: bool) -> None:
    # A clock with one day between orders gives the same as no clock.
    days = [[float(day) for day in range(len(orders))] for orders in users] if has_clock else None
    sequences = make_order_sequences(users, days)
    last = sequences.number_orders(sequences.starts[1:] - 1)
    windows = Windows(sequences, sequences.find_order_starts(last), 2)
    expected = []
    for row, orders in enumerate(users):
        n_orders = len(orders) - 1
        for item in sorted(set(chain(*orders[:-1]))):
            numbers = [number for number in range(n_orders) if item in orders[number]]
            first, latest = n_orders - numbers[0], n_orders - numbers[-1]
            expected.append((row, item, len(numbers), first, latest, latest - 1, n_orders))
    assert list_values(list_seen_items(windows)) == expected


def test_the_latest_complete_orders_of_a_long_history_are_read() -> None:
    for size in (7, 5):
        n_orders = MAX_INTERACTIONS // size + 15
        # Each order has its own items.
        orders = np.arange(1, n_orders * size + 1).reshape(n_orders, size).tolist()
        seen = list_seen_items(make_requests([[[n_orders * size + 1]], orders]))
        items = seen.items[seen.rows == 1]
        n_read = MAX_INTERACTIONS // size
        assert items.tolist() == list(chain(*orders[-n_read:]))
        assert set(seen.n_orders[seen.rows == 1].tolist()) == {n_read}
        assert seen.items[seen.rows == 0].tolist() == [n_orders * size + 1]


def test_a_last_order_with_more_interactions_is_read() -> None:
    large = list(range(1, MAX_INTERACTIONS + 2))
    seen = list_seen_items(make_requests([[[1], large], [[5], [6]], [large, [1]]]))
    assert seen.items[seen.rows == 0].tolist() == large
    assert set(seen.counts[seen.rows == 0].tolist()) == {1}
    assert seen.items[seen.rows == 1].tolist() == [5, 6]
    # An earlier order that is too large is left out.
    assert seen.items[seen.rows == 2].tolist() == [1]


def test_the_latest_interactions_are_read_if_each_is_an_order() -> None:
    items = np.arange(1, MAX_INTERACTIONS + 41)
    sequences = make_order_sequences([[[item] for item in items.tolist()]])
    windows = Windows(sequences, np.array([len(items) - 1]), 3)
    alone = Windows(type(sequences)(sequences.user_ids, sequences.items, sequences.starts),
                    windows.target_positions, 3)  # fmt: skip
    for rows in (windows, alone):
        seen = list_seen_items(rows)
        assert seen.items.tolist() == items[39:-1].tolist()
        assert seen.orders_since.tolist() == list(range(MAX_INTERACTIONS))[::-1]
