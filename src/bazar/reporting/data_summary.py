"""The data summary: numbers, checks, and whether there is enough data."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from bazar.data.joining import UNKNOWN, UNTITLED
from bazar.data.order_statistics import (
    CatalogueStatistics,
    Counts,
    OrderStatistics,
    compute_mean,
    compute_median,
    count_at_least,
)

MIN_PURCHASES = 5
"""A product with fewer purchases is rarely bought."""
_REASONS = {
    "guest": "no customer id (guests)",
    "return": "returns, refunds and cancellations",
    "returned later": "purchases that were returned later",
    "quantity 0": "quantity 0",
    "excluded item": "excluded items (exclude_items)",
    "deleted customer": "customers who were deleted",
}
_JOINING_STEPS = {
    "without duplicates": "the same product again in one order (duplicates)",
    "titled": "products without a title",
    "users with at least": "customers with too few purchases",
}
_OTHER_EVENTS = "views, carts and other events"
_UNEXPLAINED = "not explained: ingestion and joining come from different runs"


class _Part(BaseModel):
    """A part of the summary. It is immutable and can be stored as JSON."""

    model_config = ConfigDict(frozen=True)


class FileCounts(_Part):
    """Numbers of rows of a file: read = kept + excluded + rejected."""

    read_as: str
    source_file: str
    rows_read: int
    rows_kept: int
    rows_excluded: int
    rows_rejected: int


class RemovedRows(_Part):
    """Rows of a file that were excluded by a rule, or rejected because they are invalid."""

    read_as: str
    source_file: str
    kind: Literal["excluded", "rejected"]
    reason: str
    count: int
    examples: list[str]


class Step(_Part):
    """A step from the rows of the files to the purchases: removed rows and remaining rows."""

    label: str
    removed: int
    remaining: int


class TitleSource(_Part):
    """Numbers of products and purchases whose title is from one source."""

    title_source: str
    products: int
    interactions: int


class IdForms(_Part):
    """Ids that are written in several forms, such as ``17850`` and ``17850.0``."""

    column: str
    groups: int
    examples: list[str]


class SuspiciousItem(_Part):
    """An item that is probably not a product, or whose title is probably not its name."""

    item_id: str
    title: str | None
    lines: int
    reason: str


class DataFacts(_Part):
    """Numbers of the data set.

    Attributes:
        dataset: name of the data set.
        protocol: name of the split.
        test_rows: number of test rows.
        orders: customers, orders and purchases.
        catalogue: products.
        files: rows by file.
        removed: excluded and rejected rows by file and reason.
        steps: from the rows of the files to the purchases.
        is_one_run: whether all tables are from one run, so that the steps add up.
        title_sources: products and purchases by source of their title.
        id_forms: ids in several forms.
        suspicious_items: items that are probably not products, most purchases first.
        suspicious_titles: items whose title is probably not a name, most purchases first.
        unreadable_titles: titles in which characters were lost.
    """

    dataset: str
    protocol: str
    test_rows: int
    orders: OrderStatistics
    catalogue: CatalogueStatistics
    files: list[FileCounts]
    removed: list[RemovedRows]
    steps: list[Step]
    is_one_run: bool
    title_sources: list[TitleSource]
    id_forms: list[IdForms]
    suspicious_items: list[SuspiciousItem]
    suspicious_titles: list[SuspiciousItem]
    unreadable_titles: list[str]


class Setting(_Part):
    """A setting to change: the file, the path of the key, and the value."""

    file: str
    path: list[str]
    value: Any

    def format_yaml(self) -> str:
        """Return the setting as YAML with nested keys."""
        keys = [f"{'  ' * depth}{_dump_yaml(key)}:" for depth, key in enumerate(self.path)]
        return "\n".join(keys) + f" {_dump_yaml(self.value)}"

    def format_line(self) -> str:
        """Return the setting on one line with a dotted key."""
        return f"{'.'.join(self.path)}: {_dump_yaml(self.value)}"


class Check(_Part):
    """A problem or a note before training.

    Attributes:
        name: short name.
        is_problem: whether it makes results wrong or worse. If not, it is a note.
        title: one sentence.
        explanation: why it matters, and what to do.
        setting: the setting to change, if one solves the problem.
        examples: ids or texts from the data.
    """

    name: str
    is_problem: bool
    title: str
    explanation: str
    setting: Setting | None = None
    examples: list[str] = []


class Requirement(_Part):
    """An amount of data that useful results need.

    Attributes:
        name: what is counted.
        found: the value found, as text.
        needed: the recommended value, as text.
        is_met: whether the data have it.
        explanation: why it matters.
    """

    name: str
    found: str
    needed: str
    is_met: bool
    explanation: str


class DataSummary(_Part):
    """The content of ``data_summary.json`` and of the page beside it."""

    facts: DataFacts
    requirements: list[Requirement]
    checks: list[Check]

    @property
    def problems(self) -> list[Check]:
        """The checks that found a problem."""
        return [check for check in self.checks if check.is_problem]

    @property
    def headline(self) -> str:
        """One sentence: whether the data are ready for training."""
        unmet = sum(not requirement.is_met for requirement in self.requirements)
        if n_problems := len(self.problems):
            things = "one thing" if n_problems == 1 else f"{n_problems} things"
            return f"Check {things} before you train."
        return (
            "You can train, but there is little data."
            if unmet
            else "The data are ready for training."
        )


def list_steps(
    files: Sequence[FileCounts],
    removed: Sequence[RemovedRows],
    joining_counts: Sequence[Mapping[str, Any]],
    has_events: bool,
) -> tuple[list[Step], bool]:
    """List the steps from the rows of the files to the purchases. Their numbers add up.

    Args:
        files: rows by file.
        removed: excluded and rejected rows by file and reason.
        joining_counts: ``step, interactions`` of the table ``counts`` of ``joining_summary``. The
            first step is the accepted purchases.
        has_events: whether a source has events other than purchases.

    Returns:
        The steps, and whether the rows of the files and the purchases are from the same run.
    """
    remaining = sum(file.rows_read for file in files if file.read_as == "interactions")
    steps = [Step(label="rows in the files", removed=0, remaining=remaining)]

    def remove(label: str, count: int) -> None:
        remaining = steps[-1].remaining - count
        steps.append(Step(label=label, removed=count, remaining=remaining))

    for (kind, reason), count in _sum_by_reason(removed).items():
        prefix = "invalid: " if kind == "rejected" else ""
        remove(prefix + describe_reason(reason), count)
    accepted, *later = joining_counts
    difference = steps[-1].remaining - accepted["interactions"]
    is_one_run = difference == 0 or (has_events and difference > 0)
    if difference:
        remove(_OTHER_EVENTS if is_one_run else _UNEXPLAINED, difference)
    for row in later:
        remove(_describe_joining_step(row["step"]), steps[-1].remaining - row["interactions"])
    return steps, is_one_run


def describe_reason(reason: str) -> str:
    """Return a reason of exclusion or rejection in plain words."""
    return _REASONS.get(reason, reason)


def count_removed(removed: Iterable[RemovedRows], **values: str) -> int:
    """Count the removed rows of interactions whose fields have these values."""
    return sum(
        rows.count
        for rows in removed
        if rows.read_as == "interactions"
        and all(getattr(rows, name) == value for name, value in values.items())
    )


def compute_title_share(facts: DataFacts) -> float:
    """Return the share of the purchases that have a title."""
    total = sum(source.interactions for source in facts.title_sources)
    untitled = sum(
        source.interactions
        for source in facts.title_sources
        if source.title_source in {UNTITLED, UNKNOWN}
    )
    return 1 - untitled / total if total else 0.0


def compute_interval(n_rows: int, rate: float = 0.1) -> float:
    """Return half the width of the 95% interval of a rate that is measured on so many rows."""
    return 1.96 * math.sqrt(rate * (1 - rate) / n_rows) if n_rows else 1.0


def format_count(number: int, noun: str) -> str:
    """Return a number and a noun, in the singular for one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def describe_facts(facts: DataFacts) -> dict[str, str]:
    """Return the main numbers as short texts, by what they describe."""
    orders, catalogue = facts.orders, facts.catalogue
    lines, bought = orders.lines_per_order, orders.purchases_per_item
    with_orders = ", ".join(
        f"{_format_share(count_at_least(orders.orders_per_customer, n), orders.customers)} with {n}"
        for n in (2, 3, 4)
    )
    rare = sum(bought.values()) - count_at_least(bought, MIN_PURCHASES)
    described = {
        "customers": f"{orders.customers:,}; {with_orders} orders or more",
        "guests": f"{orders.guest_purchases:,} purchases in {orders.guest_orders:,} orders",
        "products": f"{catalogue.items:,}; {sum(bought.values()):,} were bought, {rare:,} of them "
        f"fewer than {MIN_PURCHASES} times",
        "orders": f"{orders.orders:,}; {_describe_counts(lines)} lines each, at most "
        f"{max(lines, default=0):,}; {_format_share(lines.get(1, 0), orders.orders)} have one line",
        "purchases": f"{orders.purchases:,}; {_describe_counts(orders.purchases_per_customer)} per "
        "customer",
        "repeats": f"{_format_share(orders.repeats, orders.purchases)} of the purchases; "
        f"{_format_share(orders.last_repeats, orders.last_purchases)} in customers' last orders",
        "time": _describe_times(facts),
        "titles": f"{compute_title_share(facts):.0%} of the purchases have a title",
        "variants": f"{catalogue.variants:,} products are variants, such as sizes and colours, in "
        f"{catalogue.variant_groups:,} groups",
    }
    if not orders.guest_orders:
        del described["guests"]
    if not catalogue.variant_groups:
        del described["variants"]
    return described


def format_day(milliseconds: int) -> str:
    """Format a time in UTC milliseconds as a day in ISO 8601."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d")


def _dump_yaml(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def _describe_times(facts: DataFacts) -> str:
    times, gaps = facts.orders.times, facts.orders.days_between_orders
    if times.first is None or times.last is None:
        return "unknown: only the order of each customer's purchases"
    clock = "without a time of day" if times.clock == "day" else f"to the {times.clock}"
    text = f"{format_day(times.first)} to {format_day(times.last)}, {clock}"
    return f"{text}; median {compute_median(gaps):g} days between orders" if gaps else text


def _describe_counts(counts: Counts) -> str:
    return f"median {compute_median(counts):g}, mean {compute_mean(counts):.1f}"


def _format_share(part: int, total: int) -> str:
    return f"{part / total:.0%}" if total else "–"


def _sum_by_reason(removed: Iterable[RemovedRows]) -> dict[tuple[str, str], int]:
    """Return the numbers of removed rows by kind and reason, invalid rows first."""
    sums: dict[tuple[str, str], int] = {}
    for rows in removed:
        if rows.read_as == "interactions":
            key = (rows.kind, rows.reason)
            sums[key] = sums.get(key, 0) + rows.count
    return dict(sorted(sums.items(), key=lambda entry: (entry[0][0] == "excluded", -entry[1])))


def _describe_joining_step(step: str) -> str:
    return next((label for start, label in _JOINING_STEPS.items() if step.startswith(start)), step)
