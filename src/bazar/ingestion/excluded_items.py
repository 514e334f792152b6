"""Find items that are not products, such as postage and fees."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from bazar.config.sources import ExcludedItems

EXCLUDED_ITEM = "excluded item"


def has_excluded_id(item_id: ir.StringValue, excluded: ExcludedItems) -> ir.BooleanValue:
    """Return whether the id of an item is excluded by ``ids`` or ``id_patterns`` (never null)."""
    lower = item_id.lower()
    checks = [lower.re_search(_ignore_case(pattern)) for pattern in excluded.id_patterns]
    if excluded.ids:
        checks.append(lower.isin([one.strip().lower() for one in excluded.ids]))
    return reduce(or_, checks, ibis.literal(False)).fill_null(False)


def list_items_with_excluded_titles(products: ir.Table, patterns: Iterable[str]) -> ir.Table | None:
    """List the items whose titles match one of the patterns in more than half of their rows.

    A product that was once named "mailout" by mistake is therefore kept.

    Args:
        products: ``item_id`` and ``title``; an item may have several rows. Rows without a title
            are not counted.
        patterns: regular expressions. Case is ignored.

    Returns:
        ``item_id``, each once; None if there are no patterns.
    """
    if not (patterns := list(patterns)):
        return None
    titled = products.filter(products.title.notnull() & products.item_id.notnull())
    matches = reduce(or_, [titled.title.re_search(_ignore_case(pattern)) for pattern in patterns])
    share = matches.cast("int64").mean()
    counted = titled.group_by("item_id").aggregate(share=share)
    return counted.filter(counted.share > 0.5).select("item_id")


def mark_excluded_items(
    typed: ir.Table, rules: ExcludedItems, items: ir.Table | None = None
) -> ir.Table:
    """Exclude the accepted rows of excluded items.

    Args:
        typed: ``item_id, reason, is_excluded, raw`` and other columns.
        rules: the rules for ids.
        items: further excluded items: column ``item_id``, each once.

    Returns:
        The table with the reason ``excluded item`` for these rows, and the id as their ``raw``.
    """
    is_excluded = has_excluded_id(typed.item_id, rules)
    if items is not None:
        listed = items.select("item_id", is_listed=ibis.literal(True))
        columns = typed.columns
        typed = typed.left_join(listed, "item_id").select(*columns, "is_listed")
        is_excluded = has_excluded_id(typed.item_id, rules) | typed.is_listed.fill_null(False)
    is_excluded &= typed.reason.isnull()
    marked = typed.mutate(
        reason=is_excluded.ifelse(EXCLUDED_ITEM, typed.reason),
        is_excluded=is_excluded | typed.is_excluded,
        # The records of accepted rows were not kept.
        raw=is_excluded.ifelse(typed.item_id, typed.raw),
    )
    return marked if items is None else marked.drop("is_listed")


def _ignore_case(pattern: str) -> str:
    return f"(?i){pattern}"
