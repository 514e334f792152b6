"""Check the data before training, and list the problems and notes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bazar.config.sources import InteractionSource
from bazar.data.order_statistics import LARGE_ORDER
from bazar.data.suspicious import SERVICE_TITLE_PATTERNS
from bazar.reporting.data_summary import (
    Check,
    DataFacts,
    IdForms,
    Setting,
    SuspiciousItem,
    count_removed,
    describe_reason,
    format_count,
)

MAX_REPEAT_SHARE = 0.05
MAX_TIED_SHARE = 0.05
MAX_GUEST_SHARE = 0.05
MAX_REJECTED_SHARE = 0.01
MAX_DUPLICATE_SHARE = 0.01
MAX_RULE_SHARE = 0.5
MAX_CUSTOMER_SHARE = 0.05
MAX_ITEM_SHARE = 0.1
MAX_ODD_ORDER_SHARE = 0.05
_MIN_FOR_SHARES = 100
"""With fewer customers or products, a large share of one of them is ordinary."""
_MAX_EXAMPLES = 10
_GLOBALS, _RECOMMENDATION = "globals.yml", "parameters_recommendation.yml"


@dataclass(frozen=True)
class DataSettings:
    """Settings of the run that the checks depend on.

    Attributes:
        sources: sources of interactions by name.
        filter_seen: whether already bought products are removed from recommendations.
    """

    sources: Mapping[str, InteractionSource]
    filter_seen: bool

    def make_source_setting(
        self, key: list[str], value: Any, kind: str = "interactions"
    ) -> Setting:
        """Return a setting of the source, or of ``<source>`` if there are several."""
        name = next(iter(self.sources)) if len(self.sources) == 1 else "<source>"
        return Setting(file=_GLOBALS, path=[kind, name, *key], value=value)

    def make_exclusion(self, column: str, ids: list[str]) -> Setting:
        """Return a condition that excludes rows with these values of one of Bazar's columns."""
        mapped = [source.columns[column] for source in self.sources.values()]  # type: ignore[index]
        name = mapped[0] if len(set(mapped)) == 1 else f"<{column}>"
        return self.make_source_setting(["where", name], {"not_in": ids})


def list_checks(facts: DataFacts, settings: DataSettings) -> list[Check]:
    """Return the problems and notes before training, problems first.

    Args:
        facts: numbers of the data set.
        settings: settings of the run.
    """
    found = [
        *_check_run(facts),
        *_check_test_rows(facts),
        *_check_repeats(facts, settings),
        *_check_tied_targets(facts),
        *_check_guests(facts, settings),
        *_check_id_forms(facts, settings),
        *_check_suspicious_items(facts, settings),
        *_check_titles(facts),
        *_check_placeholders(facts, settings),
        *_check_rejected_rows(facts),
        *_check_rules(facts),
        *_check_returns(facts, settings),
        *_check_largest(facts, settings),
        *_check_duplicates(facts),
        *_check_times(facts),
        *_check_large_orders(facts),
        *_check_order_ids(facts, settings),
    ]
    return sorted(found, key=lambda check: not check.is_problem)


def _check_run(facts: DataFacts) -> Iterator[Check]:
    if not facts.is_one_run:
        yield Check(
            name="outdated tables",
            is_problem=True,
            title="The tables of ingestion, joining and sequencing come from different runs.",
            explanation="The numbers on this page do not add up. Run the pipelines ingestion, "
            "joining and sequencing together.",
        )


def _check_test_rows(facts: DataFacts) -> Iterator[Check]:
    if facts.test_rows == 0:
        yield Check(
            name="no test rows",
            is_problem=True,
            title="There are no test rows: no model can be measured.",
            explanation="A test row needs a customer with at least two purchases, or two "
            "orders with split=next_order. Guests have no test rows. Check columns.user_id of the "
            "source.",
        )


def _check_repeats(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    orders = facts.orders
    share = _divide(orders.last_repeats, orders.last_purchases)
    setting = Setting(file=_RECOMMENDATION, path=["recommendation", "filter_seen"], value=False)
    if share > MAX_REPEAT_SHARE and settings.filter_seen:
        yield Check(
            name="repeats",
            is_problem=True,
            title=f"{share:.0%} of the purchases in customers' last orders are repeats, but "
            "filter_seen removes products that a customer bought before.",
            explanation=f"Customers buy the same products again. Above {MAX_REPEAT_SHARE:.0%}, "
            "allow them in recommendations, and read the results with seen items not filtered "
            "first. Filtered results cannot contain these purchases.",
            setting=setting,
        )
    if orders.last_purchases and not orders.last_repeats and not settings.filter_seen:
        yield Check(
            name="repeats",
            is_problem=False,
            title="Nobody bought a product again, but filter_seen is false.",
            explanation="Recommendations improve if products that a customer bought before are "
            "removed.",
            setting=setting.model_copy(update={"value": True}),
        )


def _check_tied_targets(facts: DataFacts) -> Iterator[Check]:
    share = _divide(facts.orders.tied_targets, facts.orders.targets)
    if share > MAX_TIED_SHARE and facts.protocol not in {"next_order", "shuffled_windows"}:
        is_day = facts.orders.times.clock == "day"
        yield Check(
            name="targets within an order",
            is_problem=True,
            title=f"In {share:.0%} of the test rows, the history ends with a purchase of the same "
            f"{'day' if is_day else 'order'} as the target.",
            explanation="There, the first lines of an order predict its last line. Such results "
            "measure how well an order is completed, not what a customer buys next, and are too "
            "good. The order of the lines within an order influences them as well. Do not compare "
            "them with results of other data. To predict complete orders, set split=next_order.",
        )


def _check_guests(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    n_guests = count_removed(facts.removed, reason="guest")
    share = _divide(n_guests, facts.steps[0].remaining)
    if share > MAX_GUEST_SHARE:
        has_orders = any("order_id" in source.columns for source in settings.sources.values())
        yield Check(
            name="guests",
            is_problem=False,
            title=f"Without a customer id: {format_count(n_guests, 'row')} ({share:.0%}).",
            explanation="They are excluded. Set guests to sessions to train on the orders of "
            "guests as well. They have no test rows. If these are not guests, check "
            "columns.user_id."
            + ("" if has_orders else " guests: sessions needs a mapped order_id."),
            setting=settings.make_source_setting(["guests"], "sessions"),
        )


def _check_id_forms(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    for forms in facts.id_forms:
        if forms.groups == 0:
            continue
        what = "customer" if forms.column == "user_id" else "product"
        yield Check(
            name=f"forms of {what} ids",
            is_problem=True,
            title=f"Written in several forms: {format_count(forms.groups, f'{what} id')}, such as "
            f"{forms.examples[0]}.",
            explanation=f"Each form counts as another {what}. If they are the same {what}, unify "
            "them" + (" here and in the source of the products." if what == "product" else "."),
            setting=settings.make_source_setting(
                ["normalise_ids", forms.column], _choose_steps(forms)
            ),
            examples=forms.examples[:_MAX_EXAMPLES],
        )


def _choose_steps(forms: IdForms) -> list[str]:
    """Return the steps that unify the examples."""
    texts = [text for example in forms.examples for text in example.split(" / ")]
    steps = ["strip"]
    if any(text.strip().endswith((".0", ".00")) for text in texts):
        steps.append("integer_like")
    cases = {text.strip() for text in texts}
    if len({text.upper() for text in cases}) < len(cases):
        steps.append("upper")
    return steps


def _check_suspicious_items(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    services = [item for item in facts.suspicious_items if _is_service(item)]
    others = [item for item in facts.suspicious_items if not _is_service(item)]
    if services:
        lines = sum(item.lines for item in services)
        ids = [item.item_id for item in services]
        yield Check(
            name="services",
            is_problem=True,
            title=f"Probably not products: {format_count(len(ids), 'item')} with "
            f"{format_count(lines, 'purchase')}, such as {services[0].title or ids[0]}.",
            explanation="Postage, fees, vouchers and manual entries would be recommended. Exclude "
            "them.",
            setting=settings.make_source_setting(["exclude_items", "ids"], ids[:_MAX_EXAMPLES]),
            examples=_describe_items(services),
        )
    if others:
        yield Check(
            name="unusual items",
            is_problem=False,
            title=f"Unusual: {format_count(len(others), 'item')}, such as "
            f"{others[0].title or others[0].item_id} ({others[0].reason}).",
            explanation="If some of them are not products, add their ids to exclude_items.ids of "
            "the source.",
            examples=_describe_items(others),
        )


def _is_service(item: SuspiciousItem) -> bool:
    return any(kind in item.reason.split(", ") for kind in SERVICE_TITLE_PATTERNS)


def _describe_items(items: list[SuspiciousItem]) -> list[str]:
    return [
        f"{item.item_id}: {item.title or '(no title)'} ({item.reason}; {item.lines:,} purchases)"
        for item in items[:_MAX_EXAMPLES]
    ]


def _check_titles(facts: DataFacts) -> Iterator[Check]:
    if found := facts.suspicious_titles:
        yield Check(
            name="suspicious titles",
            is_problem=False,
            title=f"Probably not the name of a product: {format_count(len(found), 'title')}, such "
            f"as {found[0].title}.",
            explanation="Customers would see these titles. Correct them in the source, or add a "
            "source with better titles under products in globals.yml, before the others.",
            examples=_describe_items(found),
        )
    if unreadable := facts.unreadable_titles:
        yield Check(
            name="unreadable titles",
            is_problem=True,
            title=f"Characters were lost in {format_count(len(unreadable), 'title')}, such as "
            f"{unreadable[0]}.",
            explanation="The file has another encoding. Set encoding of the source under products "
            "in globals.yml, for example cp1252.",
            examples=unreadable[:_MAX_EXAMPLES],
        )


def _check_placeholders(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    if found := facts.orders.placeholder_customers:
        yield Check(
            name="placeholder customers",
            is_problem=True,
            title=f"The customer id {next(iter(found))!r} may not be a customer.",
            explanation="Ids such as guest, test or 0 join the purchases of many people into one "
            "history. Exclude them.",
            setting=settings.make_exclusion("user_id", list(found)),
            examples=[f"{user}: {count:,} purchases" for user, count in found.items()],
        )


def _check_rejected_rows(facts: DataFacts) -> Iterator[Check]:
    n_rejected = count_removed(facts.removed, kind="rejected")
    share = _divide(n_rejected, facts.steps[0].remaining)
    if share > MAX_REJECTED_SHARE:
        rows = [rows for rows in facts.removed if rows.kind == "rejected"]
        yield Check(
            name="invalid rows",
            is_problem=True,
            title=f"Invalid and left out: {format_count(n_rejected, 'row')} ({share:.1%}).",
            explanation="The reasons and examples are in the table of removed rows. Check the "
            "columns and timestamp_format of the source.",
            examples=[f"{one.reason}: {one.count:,} rows" for one in rows[:_MAX_EXAMPLES]],
        )


def _check_rules(facts: DataFacts) -> Iterator[Check]:
    n_rows = facts.steps[0].remaining
    for reason in {rows.reason: None for rows in facts.removed if rows.kind == "excluded"}:
        count = count_removed(facts.removed, kind="excluded", reason=reason)
        if _divide(count, n_rows) > MAX_RULE_SHARE and reason != "guest":
            yield Check(
                name="large exclusion",
                is_problem=False,
                title=f"One rule excludes {count / n_rows:.0%} of the rows: "
                f"{describe_reason(reason)}.",
                explanation="Check the rule and its examples in the table of removed rows.",
            )


def _check_returns(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    unknown = [
        name
        for name, source in settings.sources.items()
        if {"order_id", "price"} & set(source.columns)
        and "quantity" not in source.columns
        and not source.returns.where
        and not source.where
    ]
    if unknown:
        yield Check(
            name="returns",
            is_problem=False,
            title="Returns and cancelled orders cannot be recognised.",
            explanation=f"The source {unknown[0]} maps no quantity and has no conditions. If the "
            "file has a column with quantities, map it: a negative quantity is a return. If it has "
            "a status, use where or returns.where.",
        )


def _check_largest(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    orders = facts.orders
    n_purchases = orders.purchases + orders.guest_purchases
    for user, count in list(orders.top_customers.items())[:1]:
        share = _divide(count, orders.purchases)
        if share > MAX_CUSTOMER_SHARE and orders.customers >= _MIN_FOR_SHARES:
            yield Check(
                name="largest customer",
                is_problem=True,
                title=f"One customer, {user}, made {share:.0%} of all purchases.",
                explanation="This may be a cash desk, a reseller or a test account. If so, exclude "
                "it.",
                setting=settings.make_exclusion("user_id", [user]),
            )
    for item, count in list(orders.top_items.items())[:1]:
        share = _divide(count, n_purchases)
        n_items = sum(orders.purchases_per_item.values())
        if share > MAX_ITEM_SHARE and n_items >= _MIN_FOR_SHARES:
            yield Check(
                name="largest product",
                is_problem=True,
                title=f"One product, {item}, has {share:.0%} of all purchases.",
                explanation="This may be postage, a bag or a free sample. If it is not a product "
                "to recommend, exclude it.",
                setting=settings.make_source_setting(["exclude_items", "ids"], [item]),
            )


def _check_duplicates(facts: DataFacts) -> Iterator[Check]:
    removed = sum(step.removed for step in facts.steps if "(duplicates)" in step.label)
    share = _divide(removed, removed + facts.steps[-1].remaining)
    if share > MAX_DUPLICATE_SHARE:
        yield Check(
            name="duplicates",
            is_problem=False,
            title=f"{removed:,} lines ({share:.1%}) repeat another line of the same order.",
            explanation="They have the same customer, product, order and time. Each counts once. "
            "If there are many, check whether the files overlap.",
        )


def _check_times(facts: DataFacts) -> Iterator[Check]:
    times = facts.orders.times
    if times.clock == "none":
        yield Check(
            name="clock",
            is_problem=False,
            title="The purchases have no time.",
            explanation="Orders, recent popularity and the split `temporal` need times. If the "
            "file has them, map columns.timestamp.",
        )
    if times.clock == "day":
        yield Check(
            name="clock",
            is_problem=False,
            title="All times are at midnight: the data have days, but no time of day.",
            explanation="The order of purchases within a day is unknown. Without order ids, all "
            "purchases of a customer on one day are one order. If the export can include the time "
            "of day, include it.",
        )
    if times.future:
        yield Check(
            name="future",
            is_problem=True,
            title=f"In the future: {format_count(times.future, 'purchase')}.",
            explanation="They may be wrong, or in another time zone. Set timezone of the source, "
            "for example Europe/London.",
        )


def _check_large_orders(facts: DataFacts) -> Iterator[Check]:
    orders = facts.orders
    if orders.large_orders:
        share = _divide(orders.large_order_purchases, orders.purchases)
        yield Check(
            name="large orders",
            is_problem=False,
            title=f"{format_count(orders.large_orders, 'order')} with more than {LARGE_ORDER} "
            f"lines: {share:.0%} of all purchases.",
            explanation="They may come from resellers. Their purchases dominate what models learn "
            "about products that are bought together.",
        )


def _check_order_ids(facts: DataFacts, settings: DataSettings) -> Iterator[Check]:
    orders = facts.orders
    if _divide(orders.long_orders, orders.orders) > MAX_ODD_ORDER_SHARE:
        yield Check(
            name="order ids of several days",
            is_problem=True,
            title=f"{format_count(orders.long_orders, 'order')} "
            f"({_divide(orders.long_orders, orders.orders):.0%}) have lines that are more than a "
            "day apart.",
            explanation="Lines with the same order_id are one order, with the earliest time. Check "
            "that columns.order_id is the number of the order, that it is not used again, and that "
            "columns.timestamp is the time of the order, not that of a delivery.",
        )
    share = _divide(orders.simultaneous_orders, orders.orders)
    if share > MAX_ODD_ORDER_SHARE and orders.times.clock in {"minute", "second", "millisecond"}:
        yield Check(
            name="simultaneous orders",
            is_problem=True,
            title=f"{format_count(orders.simultaneous_orders, 'order')} ({share:.0%}) have the "
            "same time as another order of the same customer.",
            explanation="The order_id of some lines may be missing, or written in several forms, "
            "such as 1001 and 1001.0. Each form counts as another order. Unify them, or do not map "
            "order_id: then purchases at the same time are one order.",
            setting=settings.make_source_setting(
                ["normalise_ids", "order_id"], ["strip", "integer_like", "upper"]
            ),
        )


def _divide(part: int, total: int) -> float:
    return part / total if total else 0.0
