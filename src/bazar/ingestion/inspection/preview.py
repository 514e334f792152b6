"""Apply the rules of a proposal to the complete files, to show what they keep and exclude."""

from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir

from bazar.config.sources import InteractionSource
from bazar.ingestion.cache import cache_table
from bazar.ingestion.inspection.sources import Source
from bazar.ingestion.returns import mark_returned_purchases
from bazar.ingestion.row_counts import collect_rejects, count_rows
from bazar.ingestion.typing_rules import PURCHASE, type_interactions

_SHOWN_ROWS = 10


@dataclass(frozen=True)
class Preview:
    """The result of reading a source with its rules.

    Attributes:
        purchases: the first purchases by column. Times are UTC milliseconds.
        n_read: number of rows in all files.
        n_kept: number of accepted rows.
        n_events: number of accepted rows that are not purchases, such as views.
        n_rejected: number of rows that cannot be read.
        reasons: ``kind`` (``excluded`` or ``rejected``), ``reason``, ``count`` and ``example``,
            the most frequent first.
    """

    purchases: list[dict[str, Any]]
    n_read: int
    n_kept: int
    n_events: int
    n_rejected: int
    reasons: list[dict[str, Any]]


def type_source(source: Source, now_ms: int) -> ir.Table:
    """Return the typed rows of a source of interactions; see ``type_interactions``."""
    options = InteractionSource.model_validate(source.rules.keys)
    raw = source.records.select_raw(options)
    typed = cache_table(type_interactions(raw, options, options.timestamp_format, now_ms))
    return mark_returned_purchases(typed) if options.returns.remove_matched else typed


def preview_source(source: Source, now_ms: int) -> Preview:
    """Read all rows of a source with its rules, and return the first purchases and the counts.

    Args:
        source: a source of interactions.
        now_ms: the current time, UTC milliseconds.
    """
    typed = type_source(source, now_ms)
    counts = count_rows(typed).to_pyarrow().to_pylist()
    is_kept = typed.reason.isnull()
    is_purchase = typed.event_type == PURCHASE
    purchases = typed.filter(is_kept & is_purchase).order_by("source_file", "source_order")
    columns = list(source.rules.keys["columns"])
    reasons: dict[tuple[str, str], dict[str, Any]] = {}
    for row in collect_rejects(typed).to_pyarrow().to_pylist():
        key = (row["kind"], row["reason"])
        summed = reasons.setdefault(
            key, {"kind": key[0], "reason": key[1], "count": 0, "example": row["examples"][0]}
        )
        summed["count"] += row["count"]
    return Preview(
        purchases=purchases.select(*columns).limit(_SHOWN_ROWS).to_pyarrow().to_pylist(),
        n_read=sum(row["rows_read"] for row in counts),
        n_kept=sum(row["rows_kept"] for row in counts),
        n_events=typed.filter(is_kept & ~is_purchase).count().to_pyarrow().as_py(),
        n_rejected=sum(row["rows_rejected"] for row in counts),
        reasons=sorted(reasons.values(), key=lambda row: -row["count"]),
    )
