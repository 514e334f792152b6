"""Numbers of orders, repeats and gaps, on tables with known answers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.data.order_statistics import (
    CatalogueStatistics,
    OrderStatistics,
    compute_mean,
    compute_median,
    count_at_least,
    count_catalogue,
    count_orders,
)

DAY = 86_400_000
START = 1_600_041_600_000  # 2020-09-14, midnight in UTC
NOW = START + 1_000 * DAY
SCHEMA = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "order_id": "string", "is_guest": "boolean",
}  # fmt: skip

Line = tuple[str, str, int | None]


def make_interactions(rows: Sequence[dict[str, Any]]) -> ir.Table:
    defaults = {"timestamp": None, "position": None, "order_id": None, "is_guest": False}
    return ibis.memtable([{**defaults, **row} for row in rows], schema=SCHEMA)


def make_lines(*lines: Line, **values: Any) -> list[dict[str, Any]]:
    """Return lines of (user, item, day)."""
    return [
        {
            "user_id": user,
            "item_id": item,
            "timestamp": None if day is None else START + day * DAY + 36_061_000,
            **values,
        }
        for user, item, day in lines
    ]


def count(rows: Sequence[dict[str, Any]], **arguments: Any) -> OrderStatistics:
    return count_orders(make_interactions(rows), NOW, **arguments)


SHOP = make_lines(
    ("ann", "milk", 0), ("ann", "oats", 0), ("ann", "milk", 7), ("ann", "tea", 7),
    ("ann", "milk", 30), ("bob", "milk", 3), ("bob", "milk", 3), ("cy", "tea", 9),
)  # fmt: skip


def test_order_ids_of_several_days_and_several_forms_are_counted() -> None:
    rows = [
        *make_lines(("ann", "milk", 0), ("ann", "oats", 9), order_id="reused"),
        *make_lines(("bob", "milk", 3), order_id="1001"),
        *make_lines(("bob", "oats", 3), order_id="1001.0"),
        *make_lines(("bob", "tea", 3)),
        *make_lines(("cy", "tea", 9), ("cy", "milk", 10), order_id="2"),
        *make_lines(("guest", "tea", 1), ("guest", "milk", 9), order_id="3", is_guest=True),
    ]
    found = count(rows)
    assert (found.orders, found.long_orders, found.simultaneous_orders) == (5, 1, 3)


def test_orders_are_equal_times_of_a_user() -> None:
    found = count(SHOP)
    assert (found.customers, found.orders, found.purchases) == (3, 5, 8)
    assert found.lines_per_order == {1: 2, 2: 3}
    assert found.purchases_per_customer == {1: 1, 2: 1, 5: 1}
    assert found.orders_per_customer == {1: 2, 3: 1}
    assert found.days_between_orders == {7: 1, 23: 1}
    assert found.purchases_per_item == {1: 1, 2: 1, 5: 1}
    # The second line of one item in one order is no repeat.
    assert (found.repeats, found.last_purchases, found.last_repeats) == (2, 1, 1)
    # Bob's last two purchases are of one order. Cy has no target.
    assert (found.targets, found.tied_targets) == (2, 1)
    assert found.top_customers == {"ann": 5, "bob": 2, "cy": 1}
    assert found.top_items == {"milk": 5, "tea": 2, "oats": 1}
    assert (found.guest_orders, found.guest_purchases, found.large_orders) == (0, 0, 0)


def test_order_ids_join_and_separate_times() -> None:
    rows = make_lines(("ann", "a", 0), ("ann", "b", 1), ("ann", "c", 1), ("ann", "d", 1))
    for row, order in zip(rows, ["1", "1", "2", None], strict=True):
        row["order_id"] = order
    found = count(rows)
    assert found.lines_per_order == {1: 2, 2: 1}
    # The first order is of its earliest time, and the others are of the next day.
    assert found.days_between_orders == {0: 1, 1: 1}
    # Another user's order with the same id is another order.
    rows.append({**rows[0], "user_id": "bob"})
    assert count(rows).orders == 4


def test_positions_number_orders_without_times() -> None:
    rows = make_lines(("ann", "a", None), ("ann", "b", None), ("ann", "a", None))
    for row, position in zip(rows, [1, 1, 2], strict=True):
        row["position"] = position
    found = count(rows)
    assert (found.orders, found.repeats, found.days_between_orders) == (2, 1, {})
    assert (found.times.clock, found.times.first, found.times.missing) == ("none", None, 3)


def test_guests_are_counted_separately() -> None:
    guests = make_lines(("g1", "milk", 1), ("g1", "soap", 1), ("g2", "milk", 2), is_guest=True)
    with_guests, without = count(SHOP + guests), count(SHOP)
    assert (with_guests.guest_orders, with_guests.guest_purchases) == (2, 3)
    assert with_guests.purchases_per_item == {1: 2, 2: 1, 7: 1}
    assert with_guests.top_items["milk"] == 7
    for name in ("customers", "orders", "purchases", "repeats", "targets", "orders_per_customer"):
        assert getattr(with_guests, name) == getattr(without, name)


def test_targets_of_the_temporal_split() -> None:
    # From day 7 on: milk and tea of Ann's second order, milk of her third one; Cy has no history.
    found = count(SHOP, test_from=START + 7 * DAY)
    assert (found.targets, found.tied_targets) == (3, 1)


def test_large_orders() -> None:
    rows = make_lines(*(("ann", str(item), 0) for item in range(101)))
    rows += make_lines(*(("bob", str(item), 0) for item in range(100)))
    found = count(rows)
    assert (found.large_orders, found.large_order_purchases) == (1, 101)


def test_placeholder_customers() -> None:
    placeholders = [
        "-1", "0", "Guest checkout", "N/A", "TEST", "guest", "nan", "test-7", "walk in customer",
    ]  # fmt: skip
    customers = ["10", "contest", "Nancy", "protested", "ann", "guesthouse", "0170"]
    found = count(make_lines(*((user, "a", 0) for user in [*placeholders, *customers])))
    assert found.placeholder_customers == dict.fromkeys(placeholders, 1)


@pytest.mark.parametrize(
    ("times", "clock"),
    [
        ([0, DAY, 5 * DAY], "day"),
        ([7_200_000, 2 * 3_600_000 + DAY, 9 * DAY + 3_600_000], "day"),
        ([0, 3_600_000, 5 * 3_600_000], "hour"),
        ([0, 60_000, 120_000], "minute"),
        ([0, 60_000, 61_000], "second"),
        ([0, 1, 61_000], "millisecond"),
    ],
)
def test_resolution_of_the_clock(times: list[int], clock: str) -> None:
    rows = [{"user_id": "a", "item_id": "b", "timestamp": START + time} for time in times]
    assert count(rows).times.clock == clock


def test_midnight_of_another_zone_is_a_day() -> None:
    zone = ZoneInfo("Europe/London")
    days = [datetime(2024, month, 3, tzinfo=zone) for month in (1, 4, 7, 12)]
    rows = [
        {"user_id": "a", "item_id": "b", "timestamp": int(day.timestamp() * 1000)} for day in days
    ]
    assert count(rows).times.clock == "day"


def test_times_in_the_future() -> None:
    found = count(make_lines(("a", "b", 0), ("a", "b", 999), ("a", "b", 1_001))).times
    assert (found.future, found.missing) == (1, 0)
    assert (found.last or 0) - (found.first or 0) == 1_001 * DAY


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 4)),
        min_size=1,
        max_size=25,
    )
)
@settings(max_examples=10, deadline=None)
def test_numbers_equal_a_plain_count(lines: list[Line]) -> None:
    found = count(make_lines(*lines))
    orders: dict[tuple[str, int | None], list[str]] = defaultdict(list)
    for user, item, day in lines:
        orders[user, day].append(item)
    repeats = sum(
        any(item in orders.get((user, earlier), []) for earlier in range(day or 0))
        for user, item, day in lines
    )
    assert found.orders == len(orders)
    assert found.repeats == repeats
    assert compute_mean(found.lines_per_order) == pytest.approx(len(lines) / len(orders))
    assert found.purchases == len(lines)
    assert found.customers == len({user for user, _, _ in lines})
    assert sum(days * n for days, n in found.days_between_orders.items()) == sum(
        max(days) - min(days)
        for days in ([day for user, day in orders if user == one] for one in "abc")
        if days
    )


@given(st.lists(st.integers(0, 9), min_size=1))
def test_median_and_mean(values: list[int]) -> None:
    counts = {value: values.count(value) for value in set(values)}
    ordered = sorted(values)
    middle = ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]
    assert compute_median(counts) == middle / 2
    assert compute_mean(counts) == pytest.approx(sum(values) / len(values))
    assert count_at_least(counts, 5) == sum(value >= 5 for value in values)


def test_median_and_mean_without_values() -> None:
    assert compute_median({}) == compute_mean({}) == 0


def test_catalogue() -> None:
    rows = [
        ("1", "Tea", "orders", "1"), ("2", "Large tea", "orders", "1"), ("3", "Oil", "orders", "3"),
        ("4", None, "without title", None), ("5", None, "unknown product", None),
    ]  # fmt: skip
    columns = ["item_id", "title", "title_source", "variant_group"]
    products = ibis.memtable(
        [dict(zip(columns, row, strict=True)) for row in rows],
        schema=dict.fromkeys(columns, "string"),
    )
    assert count_catalogue(products) == CatalogueStatistics(
        items=5, titled=3, variants=2, variant_groups=1
    )
