"""Nodes of the ingestion pipeline."""

import time
from functools import reduce

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.data import IngestionOptions
from bazar.config.sources import InteractionSource
from bazar.ingestion import typing_rules
from bazar.ingestion.cache import cache_table
from bazar.ingestion.deleted_users import RawInteractions, mark_deleted_users
from bazar.ingestion.excluded_items import list_items_with_excluded_titles, mark_excluded_items
from bazar.ingestion.ids import collect_id_forms
from bazar.ingestion.returns import mark_returned_purchases
from bazar.ingestion.row_counts import collect_rejects, count_rows, select_accepted
from bazar.ingestion.time_detection import detect_time_format
from bazar.ingestion.times import convert_time_units


def ingest_raw_files(
    raw_interactions: RawInteractions,
    raw_products: dict[str, ir.Table],
    options: IngestionOptions,
) -> tuple[dict[str, ir.Table], ir.Table]:
    """Convert raw interactions and products to typed rows, and exclude or reject the others.

    Interactions of deleted users are excluded.

    One node reads both, so that an error in either keeps all tables of the earlier run.

    Returns:
        The tables ``interactions`` (accepted purchases), ``products`` (accepted products),
        ``rejects`` (excluded and rejected rows by file and reason), ``counts`` (rows by file) and
        ``id_forms`` (ids that are written in several forms); and the accepted events of other
        types, such as views.
    """
    products = _type_products(raw_products, options)
    interactions = _type_interactions(raw_interactions, products, options)
    products = _exclude_products(products, options)
    accepted = select_accepted(interactions, options.max_reject_share)
    accepted_products = select_accepted(products, options.max_reject_share)
    is_purchase = accepted.event_type == typing_rules.PURCHASE
    purchases = accepted.filter(is_purchase).drop("event_type")
    tables = {
        "interactions": purchases,
        "products": accepted_products,
        "rejects": _union(
            collect_rejects(interactions), collect_rejects(products), "source_file", "reason"
        ),
        "counts": _union(count_rows(interactions), count_rows(products), "source_file"),
        "id_forms": collect_id_forms(
            {
                "user_id": purchases.filter(~purchases.is_guest).user_id,
                "item_id": purchases.item_id,
            }
        ),
    }
    events = accepted.filter(~is_purchase).drop("position", "rating", "is_guest")
    return tables, events


def _type_interactions(
    raw: RawInteractions, products: ir.Table, options: IngestionOptions
) -> ir.Table:
    now_ms = int(time.time() * 1000)
    sources = {name: options.interactions[name] for name in raw.tables}
    typing_rules.check_timestamps_in_all_sources(sources)
    return ibis.union(
        *(
            _exclude_interactions(
                _type_source(raw.tables[name], f"interactions.{name}", source, now_ms),
                source,
                products,
                raw.deleted_users,
            )
            for name, source in sources.items()
        )
    )


def _type_source(raw: ir.Table, setting: str, source: InteractionSource, now_ms: int) -> ir.Table:
    """Convert the rows of one source."""
    time_format = source.timestamp_format
    if time_format == "auto" and "timestamp" in source.columns:
        raw = cache_table(raw)
        time_format = detect_time_format(raw, "timestamp", now_ms, setting)
    typed = cache_table(typing_rules.type_interactions(raw, source, time_format, now_ms))
    if "timestamp" in source.columns:
        typed = convert_time_units(typed, time_format, now_ms)
    return typed


def _exclude_interactions(
    typed: ir.Table, source: InteractionSource, products: ir.Table, deleted_users: pa.Table
) -> ir.Table:
    """Exclude deleted users, and the items and purchases that the rules of a source name."""
    typed = mark_deleted_users(typed, deleted_users)
    rules = source.exclude_items
    if (items := list_items_with_excluded_titles(products, rules.title_patterns)) is not None:
        typed = mark_excluded_items(typed, rules, items)
    return mark_returned_purchases(typed) if source.returns.remove_matched else typed


def _type_products(raw: dict[str, ir.Table], options: IngestionOptions) -> ir.Table:
    if not raw:
        return typing_rules.make_empty_products()
    # The sources are listed in order of trust. Optional sources may be missing.
    return ibis.union(
        *(
            cache_table(typing_rules.type_products(raw[name], source, name, trust))
            for trust, (name, source) in enumerate(options.products.items())
            if name in raw
        )
    )


def _exclude_products(products: ir.Table, options: IngestionOptions) -> ir.Table:
    """Exclude the items that a source of interactions excludes."""
    rules = [source.exclude_items for source in options.interactions.values()]
    return reduce(
        lambda marked, excluded: mark_excluded_items(
            marked, excluded, list_items_with_excluded_titles(products, excluded.title_patterns)
        ),
        [excluded for excluded in rules if excluded.model_fields_set],
        products,
    )


def _union(interactions: ir.Table, products: ir.Table, *order: str) -> ir.Table:
    """Union two tables. The column ``read_as`` is added, because a file may be read as both."""
    named = [
        table.select(ibis.literal(name).name("read_as"), *table.columns)
        for name, table in (("interactions", interactions), ("products", products))
    ]
    return ibis.union(*named).order_by("read_as", *order)
