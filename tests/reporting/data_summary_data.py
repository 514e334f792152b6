"""Numbers of a data set without problems, for the tests of the data summary."""

from dataclasses import replace
from typing import Any

from bazar.config.sources import InteractionSource
from bazar.data.order_statistics import CatalogueStatistics, OrderStatistics, Times
from bazar.reporting.data_checks import DataSettings, list_checks
from bazar.reporting.data_requirements import list_requirements
from bazar.reporting.data_summary import (
    DataFacts,
    DataSummary,
    FileCounts,
    RemovedRows,
    TitleSource,
    list_steps,
)

DAY = 86_400_000
EVIL = "<script>alert(1)</script> [red]"
SOURCE = {
    "files": "orders.csv",
    "columns": {
        "user_id": "customer", "item_id": "sku", "timestamp": "time", "order_id": "order",
        "quantity": "units",
    },
}  # fmt: skip
FILES = [
    FileCounts(
        read_as="interactions", source_file="orders.csv", rows_read=41_000, rows_kept=40_100,
        rows_excluded=800, rows_rejected=100,
    ),
    FileCounts(
        read_as="products", source_file="orders.csv", rows_read=500, rows_kept=500,
        rows_excluded=0, rows_rejected=0,
    ),
]  # fmt: skip
ORDERS = OrderStatistics(
    customers=4_000,
    purchases=40_000,
    orders=20_000,
    guest_orders=0,
    guest_purchases=0,
    repeats=400,
    last_purchases=8_000,
    last_repeats=80,
    targets=4_000,
    tied_targets=40,
    large_orders=0,
    large_order_purchases=0,
    long_orders=0,
    simultaneous_orders=0,
    lines_per_order={1: 10_000, 3: 10_000},
    purchases_per_customer={10: 4_000},
    orders_per_customer={2: 1_000, 5: 2_000, 8: 1_000},
    days_between_orders={0: 4_000, 20: 7_000, 400: 5_000},
    purchases_per_item={4: 100, 99: 400},
    top_customers={"17": 30},
    top_items={"rose": 900},
    placeholder_customers={},
    times=Times(first=0, last=700 * DAY, clock="second", missing=0, future=0),
)


def make_removed(reason: str = "guest", count: int = 800, **values: Any) -> RemovedRows:
    defaults = {"read_as": "interactions", "source_file": "orders.csv", "kind": "excluded"}
    return RemovedRows(**{**defaults, **values}, reason=reason, count=count, examples=[EVIL])


def make_joined(accepted: int = 40_100) -> list[dict[str, Any]]:
    return [
        {"step": "accepted", "interactions": accepted},
        {"step": "without duplicates", "interactions": accepted - 50},
        {"step": "users with at least 2 interactions", "interactions": accepted - 100},
    ]


def make_orders(**changes: Any) -> OrderStatistics:
    return replace(ORDERS, **changes)


def make_facts(**changes: Any) -> DataFacts:
    removed = changes.get(
        "removed", [make_removed(), make_removed("broken JSON", 100, kind="rejected")]
    )
    joined = make_joined(41_000 - sum(rows.count for rows in removed))
    steps, is_one_run = list_steps(FILES, removed, joined, has_events=False)
    facts = {
        "dataset": "shop",
        "protocol": "leave_one_out",
        "test_rows": 4_000,
        "orders": ORDERS,
        "catalogue": CatalogueStatistics(items=520, titled=510, variants=12, variant_groups=5),
        "files": FILES,
        "removed": removed,
        "steps": steps,
        "is_one_run": is_one_run,
        "title_sources": [
            TitleSource(title_source="orders", products=510, interactions=39_000),
            TitleSource(title_source="without title", products=10, interactions=1_000),
        ],
        "id_forms": [],
        "suspicious_items": [],
        "suspicious_titles": [],
        "unreadable_titles": [],
    }
    return DataFacts(**facts | changes)


def make_settings(filter_seen: bool = True, **changes: Any) -> DataSettings:
    sources = {"orders": InteractionSource.model_validate(SOURCE | changes)}
    return DataSettings(sources, filter_seen)


def make_summary(settings: DataSettings | None = None, **changes: Any) -> DataSummary:
    facts = make_facts(**changes)
    return DataSummary(
        facts=facts,
        requirements=list_requirements(facts),
        checks=list_checks(facts, settings or make_settings()),
    )
