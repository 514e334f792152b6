"""Count orders, repeats, gaps and large customers, with Ibis expressions that run on any backend.

All counts are aggregated by the backend. Only counts, and a few ids, are loaded into memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from bazar.data.joining import UNKNOWN, UNTITLED
from bazar.data.ordering import number_orders
from bazar.ingestion.cache import cache_table

Clock = Literal["none", "day", "hour", "minute", "second", "millisecond"]
Counts = dict[int, int]
"""Number of cases by value, in ascending order of the values."""

LARGE_ORDER = 100
"""An order with more lines is large."""
MAX_EXAMPLES = 10

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_PLACEHOLDER = (
    r"^(0+|-1|n/?a|nan|none|null|undefined|unknown|walk.?in.*)$"
    r"|(^|[^a-z])(guest|test|tester|dummy|anonymous)([^a-z]|$)"
)
"""Lower-case ids that do not identify a customer."""


@dataclass(frozen=True)
class Times:
    """When purchases were made.

    Attributes:
        first: first time, UTC milliseconds; None if no time is known.
        last: last time, UTC milliseconds; None if no time is known.
        clock: the smallest unit that the times distinguish.
        missing: number of purchases without a time.
        future: number of purchases with a time in the future.
    """

    first: int | None
    last: int | None
    clock: Clock
    missing: int
    future: int


@dataclass(frozen=True)
class OrderStatistics:
    """Numbers of customers, orders and order lines. Guests are counted separately.

    An order line is one purchase. Repeats are purchases of an item that the customer bought in an
    earlier order.

    Attributes:
        customers: number of customers.
        purchases: number of their purchases.
        orders: number of their orders.
        guest_orders: number of orders of guests.
        guest_purchases: number of purchases of guests.
        repeats: number of repeats.
        last_purchases: number of purchases in the last orders of customers with at least two.
        last_repeats: number of repeats among them.
        targets: number of test targets: the last purchase of each customer with at least two, or
            all purchases of the test part of the split ``temporal``.
        tied_targets: number of targets whose history ends with a purchase of the same order.
        large_orders: number of orders with more than 100 lines.
        large_order_purchases: number of purchases in them.
        long_orders: number of orders whose lines are more than a day apart.
        simultaneous_orders: number of orders at the same time as another order of the customer.
        lines_per_order: number of orders by number of lines.
        purchases_per_customer: number of customers by number of purchases.
        orders_per_customer: number of customers by number of orders.
        days_between_orders: number of pairs of consecutive orders of a customer by full days.
        purchases_per_item: number of bought items by number of purchases, with those of guests.
        top_customers: ids of the customers with the most purchases, and the numbers of purchases.
        top_items: ids of the items with the most purchases, and the numbers of purchases.
        placeholder_customers: ids such as ``guest`` or ``test``, and the numbers of purchases.
        times: when the purchases were made.
    """

    customers: int
    purchases: int
    orders: int
    guest_orders: int
    guest_purchases: int
    repeats: int
    last_purchases: int
    last_repeats: int
    targets: int
    tied_targets: int
    large_orders: int
    large_order_purchases: int
    long_orders: int
    simultaneous_orders: int
    lines_per_order: Counts
    purchases_per_customer: Counts
    orders_per_customer: Counts
    days_between_orders: Counts
    purchases_per_item: Counts
    top_customers: dict[str, int]
    top_items: dict[str, int]
    placeholder_customers: dict[str, int]
    times: Times


@dataclass(frozen=True)
class CatalogueStatistics:
    """Numbers of items of the catalogue.

    Attributes:
        items: number of items.
        titled: number of items with a title.
        variants: number of items that share their variant group with another item.
        variant_groups: number of groups of at least two items.
    """

    items: int
    titled: int
    variants: int
    variant_groups: int


def count_orders(
    interactions: ir.Table, now_ms: int, test_from: int | None = None
) -> OrderStatistics:
    """Count customers, orders and purchases.

    Args:
        interactions: see :func:`bazar.data.ordering.number_orders`.
        now_ms: the current time, UTC milliseconds.
        test_from: start of the test part of the split ``temporal``, UTC milliseconds. None: the
            last purchase of each customer is the target.
    """
    columns = ["user_id", "item_id", "timestamp", "position", "order_id", "is_guest"]
    lines = cache_table(number_orders(interactions.select(columns)))
    orders = cache_table(_list_orders(lines))
    purchases, by_customers = lines.filter(~lines.is_guest), orders.filter(~orders.is_guest)
    counts = _count_values(
        lines_per_order=by_customers.n_lines,
        purchases_per_customer=_list_customers(by_customers).purchases,
        orders_per_customer=_list_customers(by_customers).orders,
        days_between_orders=_list_gaps(by_customers).days,
        purchases_per_item=lines.group_by("item_id").aggregate(n=lines.count()).n,
    )
    targets = (
        _count_last_targets(by_customers)
        if test_from is None
        else _count_later_targets(purchases.filter(purchases.timestamp >= test_from))
    )
    numbers: dict[str, Any] = {**_count_orders(orders), **targets, **counts}
    return OrderStatistics(
        **numbers,
        customers=sum(counts["orders_per_customer"].values()),
        top_customers=_find_most_frequent(purchases, "user_id", 3),
        top_items=_find_most_frequent(lines, "item_id", 3),
        placeholder_customers=_find_most_frequent(
            purchases.filter(purchases.user_id.lower().re_search(_PLACEHOLDER)),
            "user_id",
            MAX_EXAMPLES,
        ),
        times=_count_times(lines, now_ms),
    )


def count_catalogue(products: ir.Table) -> CatalogueStatistics:
    """Count items, titles and variants.

    Args:
        products: the catalogue, ``item_id, title, title_source, variant_group``, each item once.
    """
    grouped = products.filter(products.variant_group.notnull())
    sizes = grouped.group_by("variant_group").aggregate(n=grouped.count())
    shared = _count_values(variants=sizes.filter(sizes.n > 1).n)["variants"]
    return CatalogueStatistics(
        **_aggregate(
            products,
            items=products.count(),
            titled=products.count(where=products.title_source.notin([UNTITLED, UNKNOWN])),
        ),
        variants=sum(n * count for n, count in shared.items()),
        variant_groups=sum(shared.values()),
    )


def compute_mean(counts: Mapping[int, int]) -> float:
    """Return the mean of the values; 0 without cases."""
    n_cases = sum(counts.values())
    return sum(value * count for value, count in counts.items()) / n_cases if n_cases else 0.0


def compute_median(counts: Mapping[int, int]) -> float:
    """Return the median of the values; 0 without cases."""
    n_cases, seen, middle = sum(counts.values()), 0, []
    for value, count in sorted(counts.items()):
        ends = range(seen, seen + count)
        middle += [value for place in ((n_cases - 1) // 2, n_cases // 2) if place in ends]
        seen += count
    return sum(middle) / 2 if middle else 0.0


def count_at_least(counts: Mapping[int, int], value: int) -> int:
    """Count the cases with at least this value."""
    return sum(count for found, count in counts.items() if found >= value)


def _list_orders(lines: ir.Table) -> ir.Table:
    orders = lines.group_by("user_id", "is_guest", "order_number", "ordered_at").aggregate(
        first_time=lines.timestamp.min(),
        duration=lines.timestamp.max() - lines.timestamp.min(),
        n_lines=lines.count(),
        n_repeats=lines.count(where=lines.is_repeat),
    )
    last_number = orders.order_number.max().over(group_by="user_id")
    same_time = orders.count().over(group_by=["user_id", "ordered_at"])
    return orders.mutate(is_last=orders.order_number == last_number, is_simultaneous=same_time > 1)


def _count_orders(orders: ir.Table) -> dict[str, int]:
    is_customer, is_large = ~orders.is_guest, orders.n_lines > LARGE_ORDER
    is_later_last = is_customer & orders.is_last & (orders.order_number > 1)

    def add(column: ir.IntegerColumn, where: ir.BooleanColumn) -> ir.Value:
        return where.ifelse(column, 0).sum()

    return _aggregate(
        orders,
        orders=orders.count(where=is_customer),
        purchases=add(orders.n_lines, is_customer),
        guest_orders=orders.count(where=orders.is_guest),
        guest_purchases=add(orders.n_lines, orders.is_guest),
        repeats=add(orders.n_repeats, is_customer),
        last_purchases=add(orders.n_lines, is_later_last),
        last_repeats=add(orders.n_repeats, is_later_last),
        large_orders=orders.count(where=is_customer & is_large),
        large_order_purchases=add(orders.n_lines, is_customer & is_large),
        long_orders=orders.count(where=is_customer & (orders.duration > _DAY)),
        simultaneous_orders=orders.count(where=is_customer & orders.is_simultaneous),
    )


def _list_customers(orders: ir.Table) -> ir.Table:
    return orders.group_by("user_id").aggregate(
        orders=orders.count(), purchases=orders.n_lines.sum()
    )


def _count_last_targets(orders: ir.Table) -> dict[str, int]:
    """Count the last purchases of the customers with at least two purchases."""
    last = orders.filter(orders.is_last)
    return _aggregate(
        last,
        targets=last.count(where=(last.order_number > 1) | (last.n_lines > 1)),
        tied_targets=last.count(where=last.n_lines > 1),
    )


def _count_later_targets(lines: ir.Table) -> dict[str, int]:
    """Count the purchases of the test part that have a history."""
    orders = _list_orders(lines)
    found = _aggregate(
        orders,
        lines=orders.n_lines.sum(),
        orders=orders.count(),
        first_orders=orders.count(where=orders.order_number == 1),
    )
    return {
        "targets": found["lines"] - found["first_orders"],
        "tied_targets": found["lines"] - found["orders"],
    }


def _list_gaps(orders: ir.Table) -> ir.Table:
    """Return the full days between consecutive orders of each customer, where times are known."""
    timed = orders.filter(orders.first_time.notnull())
    previous = timed.first_time.lag().over(group_by="user_id", order_by="order_number")
    gaps = timed.select(gap=timed.first_time - previous)
    return gaps.filter(gaps.gap.notnull()).select(days=(ibis._.gap / _DAY).floor().cast("int64"))


def _count_times(lines: ir.Table, now_ms: int) -> Times:
    clock_time = lines.timestamp % _DAY
    found = _aggregate(
        lines,
        known=lines.timestamp.count(),
        first=lines.timestamp.min(),
        last=lines.timestamp.max(),
        missing=lines.count(where=lines.timestamp.isnull()),
        future=lines.count(where=lines.timestamp > now_ms),
        clock_times=clock_time.nunique(),
        earliest=clock_time.min(),
        latest=clock_time.max(),
        seconds=lines.count(where=lines.timestamp % _SECOND != 0),
        minutes=lines.count(where=lines.timestamp % _MINUTE != 0),
        hours=lines.count(where=lines.timestamp % _HOUR != 0),
    )
    return Times(
        first=found["first"] if found["known"] else None,
        last=found["last"] if found["known"] else None,
        clock=_find_clock(found),
        missing=found["missing"],
        future=found["future"],
    )


def _find_clock(found: Mapping[str, int]) -> Clock:
    if not found["known"]:
        return "none"
    # Midnight of a time zone with daylight saving time is at two times of the day in UTC.
    is_midnight = found["clock_times"] == 1 or (
        found["clock_times"] == 2 and found["latest"] - found["earliest"] in {_HOUR, 23 * _HOUR}
    )
    if is_midnight and found["hours"] == 0:
        return "day"
    if found["hours"] == 0:
        return "hour"
    if found["minutes"] == 0:
        return "minute"
    return "second" if found["seconds"] == 0 else "millisecond"


def _find_most_frequent(table: ir.Table, column: str, limit: int) -> dict[str, int]:
    """Return the most frequent values of a column and their numbers of rows."""
    counts = table.group_by(column).aggregate(n=table.count())
    rows = counts.order_by(ibis.desc("n"), column).limit(limit).to_pyarrow().to_pylist()
    return {row[column]: int(row["n"]) for row in rows}


def _count_values(**columns: ir.IntegerColumn) -> dict[str, Counts]:
    """Count the rows of each value of each column, with one query."""
    named = [
        column.cast("int64").name("value").as_table().mutate(name=ibis.literal(name))
        for name, column in columns.items()
    ]
    counted = ibis.union(*named).group_by("name", "value").aggregate(n=ibis._.count())
    counts: dict[str, Counts] = {name: {} for name in columns}
    for row in counted.order_by("name", "value").to_pyarrow().to_pylist():
        counts[row["name"]][row["value"]] = row["n"]
    return counts


def _aggregate(table: ir.Table, **metrics: ir.Value) -> dict[str, int]:
    """Return aggregates as integers. Spark's counts without rows are null, and become 0."""
    row = table.aggregate(**metrics).to_pyarrow().to_pylist()[0]
    return {name: int(value or 0) for name, value in row.items()}
