"""Exclude the items of a shop that are not products, such as postage and fees."""

import re
from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.sources import InteractionSource
from bazar.ingestion.ids import read_id
from bazar.ingestion.inspection.dialogue import Dialogue
from bazar.ingestion.inspection.sources import Proposal, Source
from bazar.ingestion.parsing import parse_amount
from bazar.ingestion.times import parse_timestamp

FindItems = Callable[[ir.Table, ir.Table], pa.Table]
"""Lists suspicious items: ``item_id, title, lines, reason``, most lines first. Its arguments are
lines (``item_id, order_id, user_id, timestamp, price``) and titles (``item_id, title``)."""

_STATISTICAL = re.compile(r"id without digits|(price 0|negative price) in |in \d+% of all orders")
"""Reasons that are not a word in the title."""
_MIN_PREFIXED = 3
_LISTED = 6


def exclude_service_items(proposal: Proposal, find_items: FindItems, dialogue: Dialogue) -> None:
    """Add ``exclude_items`` to the sources of interactions if some items are not products.

    Args:
        proposal: the sources with all other keys.
        find_items: lists suspicious items.
        dialogue: collects items that may be products.
    """
    lines = ibis.union(*(_select_lines(source) for source in proposal.interactions))
    titles = _choose_titles(proposal)
    excluded: list[dict[str, Any]] = []
    unsure: list[dict[str, Any]] = []
    for item in find_items(lines, titles).to_pylist():
        (excluded if _is_certain(item["reason"]) else unsure).append(item)
    _note_unsure_items(unsure, dialogue)
    if not excluded:
        return
    known = titles.filter(titles.title.notnull()).item_id.to_pyarrow().to_pylist()
    ids = sorted(item["item_id"] for item in excluded)
    prefixes = _find_prefixes(ids, set(known) - set(ids))
    rules: dict[str, Any] = {"ids": [item for item in ids if not item.startswith(tuple(prefixes))]}
    if prefixes:
        rules["id_patterns"] = [f"^{re.escape(prefix)}" for prefix in prefixes]
    n_lines = sum(item["lines"] for item in excluded)
    for source in proposal.interactions:
        source.rules.add(
            "exclude_items",
            rules,
            f"{n_lines:,} lines are not products: {_describe_items(excluded)}.",
        )


def _select_lines(source: Source) -> ir.Table:
    """Return all order lines of a source, those of guests and returns as well."""
    options = InteractionSource.model_validate(source.rules.keys)
    raw = source.records.select_raw(options)
    if not isinstance(options.events, str):
        raw = raw.filter(raw.event_type.isin(options.events["purchase"]))
    item_id = read_id(raw.item_id, options.normalise_ids.get("item_id", []))
    # Without ids of orders, equal times are one order.
    has_order = "order_id" in options.columns or "timestamp" not in options.columns
    time = options.timestamp_format
    lines = raw.select(
        "user_id",
        "order_id",
        item_id=item_id,
        price=parse_amount(raw.price, options.decimal),
        timestamp=ibis.null("int64") if has_order else parse_timestamp(raw.timestamp, time, "UTC"),
    )
    return lines.filter(lines.item_id.notnull())


def _choose_titles(proposal: Proposal) -> ir.Table:
    """Return the most frequent title of each item: ``item_id, title``."""
    tables = []
    for source in proposal.products:
        roles, records = source.file.roles, source.records
        if "title" in roles:
            table = records.table
            steps = source.rules.keys.get("normalise_ids", {}).get("item_id", [])
            tables.append(
                table.select(
                    item_id=read_id(table[records.keys[roles["item_id"]]], steps),
                    # Programs write nan for a missing title, too.
                    title=read_id(table[records.keys[roles["title"]]], []),
                )
            )
    if not tables:
        empty = pa.table({"item_id": pa.array([], pa.string()), "title": pa.array([], pa.string())})
        return ibis.memtable(empty)
    titled = ibis.union(*tables)
    return (
        titled.filter(titled.item_id.notnull())
        .group_by("item_id")
        .aggregate(title=titled.title.mode())
    )


def _is_certain(reason: str) -> bool:
    """Return whether an item is certainly not a product: by its title, or by two other signs."""
    reasons = reason.split(", ")
    signs = [each for each in reasons if _STATISTICAL.search(each)]
    return len(signs) < len(reasons) or len(signs) > 1


def _note_unsure_items(items: list[dict[str, Any]], dialogue: Dialogue) -> None:
    """Note items that may be products nevertheless."""
    is_free = [item["reason"].startswith("price 0 in") for item in items]
    others = [item for item, free in zip(items, is_free, strict=True) if not free]
    if others:
        dialogue.unsure.append(
            f"These may not be products: {_describe_items(others)}. If not, add their ids to "
            "exclude_items."
        )
    if any(is_free):
        first = items[is_free.index(True)]
        dialogue.unsure.append(
            f"{sum(is_free):,} items have the price 0 in most lines, such as {first['item_id']} "
            f"({first['title'] or 'no title'}). They are kept."
        )


def _describe_items(items: list[dict[str, Any]]) -> str:
    listed = [
        f"{item['item_id']} ({(item['title'] or 'no title').strip()}, {item['reason']})"
        for item in items[:_LISTED]
    ]
    if len(items) > _LISTED:
        listed.append(f"and {len(items) - _LISTED:,} more")
    return ", ".join(listed)


def _find_prefixes(ids: list[str], products: set[str]) -> list[str]:
    """Return prefixes such as ``gift_`` that several of the ids have, and no id of a product."""
    counts: dict[str, int] = {}
    for item in ids:
        if found := re.match(r"[A-Za-z]{3,}[_-]", item):
            counts[found.group()] = counts.get(found.group(), 0) + 1
    return [
        prefix
        for prefix, count in counts.items()
        if count >= _MIN_PREFIXED
        and not any(item.lower().startswith(prefix.lower()) for item in products)
    ]
