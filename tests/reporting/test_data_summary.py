"""The data summary: steps that add up, checks, requirements, and what the console shows."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bazar.data.order_statistics import Times
from bazar.reporting.data_checks import DataSettings, list_checks
from bazar.reporting.data_summary import (
    Check,
    FileCounts,
    IdForms,
    RemovedRows,
    Setting,
    SuspiciousItem,
    compute_interval,
    describe_facts,
    list_steps,
)
from bazar.reporting.data_summary_console import print_data_summary
from tests.reporting.data_summary_data import (
    DAY,
    EVIL,
    FILES,
    make_facts,
    make_joined,
    make_orders,
    make_removed,
    make_settings,
    make_summary,
)

PAGE = Path("data/08_reporting/shop/data_summary.html")


# Steps from rows to purchases


def test_steps_add_up_to_the_purchases() -> None:
    removed = [
        make_removed("return", 300),
        make_removed("guest", 500),
        make_removed("broken JSON", 100, kind="rejected"),
        make_removed("missing item_id", 7, kind="rejected", read_as="products"),
    ]
    steps, is_one_run = list_steps(FILES, removed, make_joined(), has_events=False)
    assert is_one_run
    assert [(step.label, step.removed, step.remaining) for step in steps] == [
        ("rows in the files", 0, 41_000),
        ("invalid: broken JSON", 100, 40_900),
        ("no customer id (guests)", 500, 40_400),
        ("returns, refunds and cancellations", 300, 40_100),
        ("the same product again in one order (duplicates)", 50, 40_050),
        ("customers with too few purchases", 50, 40_000),
    ]


def test_events_are_a_step() -> None:
    joined = [{"step": "accepted", "interactions": 40_000}]
    steps, is_one_run = list_steps(FILES, [make_removed("guest", 900)], joined, has_events=True)
    assert is_one_run
    assert steps[-1].label == "views, carts and other events"
    assert (steps[-1].removed, steps[-1].remaining) == (100, 40_000)


@pytest.mark.parametrize("accepted", [40_000, 40_200])
def test_tables_of_different_runs_are_found(accepted: int) -> None:
    joined = [{"step": "accepted", "interactions": accepted}]
    steps, is_one_run = list_steps(FILES, [make_removed("guest", 900)], joined, has_events=False)
    assert not is_one_run
    assert steps[-1].label.startswith("not explained")
    assert steps[-1].remaining == accepted


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.sampled_from(["excluded", "rejected"]),
            st.sampled_from(["guest", "return", "odd"]), st.integers(0, 50),
        )
    ),
    st.integers(0, 100),
    st.lists(st.integers(0, 30), max_size=3),
)  # fmt: skip
def test_steps_always_add_up(
    counts: list[tuple[str, Any, str, int]], kept: int, joining: list[int]
) -> None:
    removed = [
        RemovedRows(
            read_as="interactions", source_file=file, kind=kind, reason=reason, count=count,
            examples=[],
        )
        for file, kind, reason, count in counts
    ]  # fmt: skip
    n_rows = kept + sum(rows.count for rows in removed)
    file = FileCounts(
        read_as="interactions", source_file="a", rows_read=n_rows, rows_kept=kept,
        rows_excluded=0, rows_rejected=0,
    )  # fmt: skip
    joined = [{"step": "accepted", "interactions": kept}]
    for count in joining:
        joined.append({"step": "odd", "interactions": joined[-1]["interactions"] - count})
    steps, is_one_run = list_steps([file], removed, joined, has_events=False)
    assert is_one_run
    assert steps[0].remaining == n_rows
    assert n_rows - sum(step.removed for step in steps) == joined[-1]["interactions"]
    for before, after in itertools.pairwise(steps):
        assert after.remaining == before.remaining - after.removed
    labels = [step.label for step in steps[1 : len(steps) - len(joining)]]
    assert len(labels) == len(set(labels))


# Checks


def find_checks(settings: DataSettings | None = None, **changes: Any) -> dict[str, Check]:
    checks = list_checks(make_facts(**changes), settings or make_settings())
    return {check.name: check for check in checks}


def test_good_data_have_no_check() -> None:
    assert find_checks() == {}
    summary = make_summary()
    assert summary.headline == "The data are ready for training."
    assert all(requirement.is_met for requirement in summary.requirements)


def make_item(reason: str, title: str = "POSTAGE") -> SuspiciousItem:
    return SuspiciousItem(item_id="POST", title=title, lines=12, reason=reason)


FIRING = [
    ("repeats", {"orders": make_orders(last_repeats=401)}, True),
    ("targets within an order", {"orders": make_orders(tied_targets=201)}, True),
    ("guests", {"removed": [make_removed("guest", 2_100)]}, False),
    (
        "forms of customer ids",
        {"id_forms": [IdForms(column="user_id", groups=3, examples=["17850 / 17850.0"])]},
        True,
    ),
    (
        "forms of product ids",
        {"id_forms": [IdForms(column="item_id", groups=3, examples=["85123a / 85123A"])]},
        True,
    ),
    ("services", {"suspicious_items": [make_item("postage and delivery")]}, True),
    ("unusual items", {"suspicious_items": [make_item("id without digits")]}, False),
    ("suspicious titles", {"suspicious_titles": [make_item("a note", "mailout")]}, False),
    ("unreadable titles", {"unreadable_titles": ["Caf\ufffd"]}, True),
    ("placeholder customers", {"orders": make_orders(placeholder_customers={"0": 9})}, True),
    ("invalid rows", {"removed": [make_removed("broken JSON", 500, kind="rejected")]}, True),
    ("large exclusion", {"removed": [make_removed("where: status", 21_000)]}, False),
    ("largest customer", {"orders": make_orders(top_customers={"17": 2_001})}, True),
    ("largest product", {"orders": make_orders(top_items={"bag": 4_001})}, True),
    ("clock", {"orders": make_orders(times=Times(0, 9 * DAY, "day", 0, 0))}, False),
    ("clock", {"orders": make_orders(times=Times(None, None, "none", 9, 0))}, False),
    ("future", {"orders": make_orders(times=Times(0, DAY, "second", 0, 2))}, True),
    ("large orders", {"orders": make_orders(large_orders=2, large_order_purchases=300)}, False),
    ("order ids of several days", {"orders": make_orders(long_orders=1_001)}, True),
    ("simultaneous orders", {"orders": make_orders(simultaneous_orders=1_001)}, True),
    ("outdated tables", {"is_one_run": False}, True),
]


@pytest.mark.parametrize(("name", "changes", "is_problem"), FIRING)
def test_each_check_fires(name: str, changes: dict[str, Any], is_problem: bool) -> None:
    found = find_checks(**changes)
    assert list(found) == [name]
    assert found[name].is_problem == is_problem
    assert found[name].title.endswith(".")


NOT_FIRING = [
    {"orders": make_orders(last_repeats=400)},
    {"orders": make_orders(tied_targets=200)},
    {"orders": make_orders(tied_targets=4_000), "protocol": "shuffled_windows"},
    {"removed": [make_removed("guest", 2_050)]},
    {"removed": [make_removed("guest", 900), make_removed("odd", 410, kind="rejected")]},
    {"removed": [make_removed("where: status", 20_500)]},
    {"id_forms": [IdForms(column="user_id", groups=0, examples=[])]},
    {"orders": make_orders(top_customers={"17": 2_000}, top_items={"bag": 4_000})},
    {"orders": make_orders(customers=99, top_customers={"17": 9_000})},
    {"orders": make_orders(long_orders=1_000, simultaneous_orders=1_000)},
    {"orders": make_orders(times=Times(0, 100 * DAY, "minute", 3, 0))},
]


@pytest.mark.parametrize("changes", NOT_FIRING)
def test_checks_do_not_fire_at_their_limits(changes: dict[str, Any]) -> None:
    assert find_checks(**changes) == {}


def test_duplicates_are_counted_in_the_steps() -> None:
    joined = [*make_joined()[:1], {"step": "without duplicates", "interactions": 39_000}]
    steps, _ = list_steps(FILES, [make_removed("guest", 900)], joined, has_events=False)
    check = find_checks(steps=steps)["duplicates"]
    assert check.title == "1,100 lines (2.7%) repeat another line of the same order."


def test_filter_seen_can_be_turned_on_again() -> None:
    orders = make_orders(repeats=0, last_repeats=0)
    check = find_checks(make_settings(filter_seen=False), orders=orders)["repeats"]
    assert not check.is_problem
    assert check.setting is not None
    assert check.setting.format_line() == "recommendation.filter_seen: true"
    assert find_checks(make_settings(filter_seen=False)) == {}


def test_returns_cannot_be_recognised_without_quantities() -> None:
    columns = {"user_id": "customer", "item_id": "sku", "timestamp": "time", "order_id": "order"}
    assert list(find_checks(make_settings(columns=columns))) == ["returns"]
    where = {"status": {"in": ["paid"]}}
    assert find_checks(make_settings(columns=columns, where=where)) == {}
    assert find_checks(make_settings(columns=columns, returns={"where": where})) == {}
    # Reviews have no orders.
    del columns["order_id"]
    assert find_checks(make_settings(columns=columns)) == {}


def read_setting(name: str, settings: DataSettings | None = None, **changes: Any) -> Any:
    setting = find_checks(settings, **changes)[name].setting
    assert setting is not None
    # Both forms have the same content.
    content = yaml.safe_load(setting.format_yaml())
    value = content
    for key in setting.path:
        value = value[key]
    assert value == yaml.safe_load(setting.format_line().split(": ", 1)[1]) == setting.value
    return content


def test_settings_can_be_pasted() -> None:
    changes = {name: changed for name, changed, _ in FIRING}

    def read(name: str) -> Any:
        return read_setting(name, **changes[name])

    assert read("repeats") == {"recommendation": {"filter_seen": False}}
    assert read("guests") == {"interactions": {"orders": {"guests": "sessions"}}}
    rules = read("services")["interactions"]["orders"]
    assert rules == {"exclude_items": {"ids": ["POST"]}}
    rules = read("placeholder customers")["interactions"]["orders"]
    assert rules == {"where": {"customer": {"not_in": ["0"]}}}
    rules = read("forms of customer ids")["interactions"]["orders"]
    assert rules == {"normalise_ids": {"user_id": ["strip", "integer_like"]}}
    rules = read("forms of product ids")["interactions"]["orders"]
    assert rules == {"normalise_ids": {"item_id": ["strip", "upper"]}}
    # The values are valid for a source.
    make_settings(**rules)


def test_settings_of_several_sources_name_no_source() -> None:
    one = make_settings().sources["orders"]
    settings = DataSettings({"web": one, "shops": one}, filter_seen=True)
    content = read_setting("guests", settings, removed=[make_removed("guest", 2_100)])
    assert content == {"interactions": {"<source>": {"guests": "sessions"}}}


def test_setting_quotes_keys_and_values() -> None:
    setting = Setting(file="globals.yml", path=["where", "Name: [x]"], value={"in": ["no", "007"]})
    assert yaml.safe_load(setting.format_yaml()) == {"where": {"Name: [x]": {"in": ["no", "007"]}}}
    assert setting.format_line().endswith("{in: ['no', '007']}")


# Requirements and numbers


def test_requirements_name_what_is_missing() -> None:
    orders = make_orders(
        orders_per_customer={2: 9_000, 3: 999},
        purchases_per_item={4: 100, 5: 319},
        times=Times(first=0, last=88 * DAY, clock="second", missing=0, future=0),
    )
    sources = [
        {"title_source": "orders", "products": 1, "interactions": 899},
        {"title_source": "unknown product", "products": 1, "interactions": 101},
    ]
    summary = make_summary(orders=orders, title_sources=sources, test_rows=900)
    assert summary.headline == "You can train, but there is little data."
    assert [(one.found, one.needed, one.is_met) for one in summary.requirements] == [
        ("999", "1,000", False), ("80%", "80%", False), ("90%", "90%", False), ("89", "90", False),
    ]  # fmt: skip
    # sqrt(.1 * .9 / 900) = .01
    assert "±2.0 points" in summary.requirements[0].explanation


def test_interval_shrinks_with_the_number_of_rows() -> None:
    assert compute_interval(900) == pytest.approx(0.0196)
    assert compute_interval(3_600) == pytest.approx(0.0098)
    assert compute_interval(0) == 1


def test_numbers_in_words() -> None:
    described = describe_facts(make_facts())
    assert described == {
        "customers": "4,000; 100% with 2, 75% with 3, 75% with 4 orders or more",
        "products": "520; 500 were bought, 100 of them fewer than 5 times",
        "orders": "20,000; median 2, mean 2.0 lines each, at most 3; 50% have one line",
        "purchases": "40,000; median 10, mean 10.0 per customer",
        "repeats": "1% of the purchases; 1% in customers' last orders",
        "time": "1970-01-01 to 1971-12-02, to the second; median 20 days between orders",
        "titles": "98% of the purchases have a title",
        "variants": "12 products are variants, such as sizes and colours, in 5 groups",
    }
    with_guests = make_facts(orders=make_orders(guest_orders=7, guest_purchases=1_200))
    assert describe_facts(with_guests)["guests"] == "1,200 purchases in 7 orders"
    without = make_orders(times=Times(None, None, "none", 9, 0), days_between_orders={})
    assert describe_facts(make_facts(orders=without))["time"].startswith("unknown")


# Console


def print_to_text(width: int = 100, settings: DataSettings | None = None, **changes: Any) -> str:
    console = Console(record=True, width=width, force_terminal=False, emoji=False)
    given = {"raw_dir": "my data", "joining": {"min_interactions": 3}}
    print_data_summary(
        make_summary(settings, **changes), PAGE, env="my shop", console=console, given=given
    )
    return console.export_text()


MANY = {
    "orders": make_orders(
        last_repeats=4_000, tied_targets=4_000, placeholder_customers={"guest": 9},
        top_customers={EVIL: 39_000}, top_items={EVIL: 39_000}, large_orders=2,
        times=Times(0, 9 * DAY, "day", 0, 2), orders_per_customer={2: 4_000},
        purchases_per_item={1: 500}, guest_orders=3,
    ),
    "removed": [make_removed(f"where: {EVIL} {number}", 1_000 + number) for number in range(12)],
    "suspicious_items": [make_item("postage and delivery", EVIL)],
    "suspicious_titles": [make_item("a note", EVIL)],
    "test_rows": 0,
}  # fmt: skip


def test_console_shows_numbers_checks_and_the_next_commands() -> None:
    text = print_to_text(orders=make_orders(last_repeats=4_000))
    for part in (
        "Check one thing before you train.",
        "customers  4,000; 100% with 2",
        "41,000  rows in the files",
        "  -800  no customer id (guests)",
        "40,000  purchases used",
        "recommendation.filter_seen: false (conf/my shop/parameters_recommendation.yml)",
        f"Written:\n    {PAGE}\n",
        ".venv/bin/kedro run --env 'my shop' --pipelines ingestion,joining,sequencing "
        "--params 'raw_dir=my data,joining.min_interactions=3'\n",
        ".venv/bin/kedro run --env 'my shop' --params 'raw_dir=my data,joining.min_interactions=3'",
    ):
        assert part in text
    assert "Next: train and measure the models:" in print_to_text()


@pytest.mark.parametrize("width", [80, 120])
def test_console_has_at_most_forty_lines(width: int) -> None:
    text = print_to_text(width, **MANY)
    assert 20 < len(text.splitlines()) <= 40
    assert "more notes." in text
    assert "other reasons" in text
    assert "Little data: customers with at least 3 orders: 0 (recommended: 1,000)" in " ".join(
        text.split()
    )
    # Markup in the data is shown as it is.
    assert "[red]" in text


def test_console_shows_short_summaries_completely() -> None:
    text = print_to_text()
    assert len(text.splitlines()) < 25
    assert "more note" not in text
