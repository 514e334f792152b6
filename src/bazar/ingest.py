"""Raw records to typed rows: each is accepted, or rejected with a reason.

Ibis expressions that run on any backend.
"""

import logging
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar import portable
from bazar.errors import InputError
from bazar.options import InteractionSource

logger = logging.getLogger(__name__)

EXAMPLES = 20
_REJECTS = pa.schema(
    {
        "source_file": pa.string(),
        "reason": pa.string(),
        "count": pa.int64(),
        "examples": pa.list_(pa.string()),
    }
)
_FIRST_MS = 788_918_400_000
"""1995-01-01: before the first online stores."""
_DAY_MS = 86_400_000


def type_interactions(raw: ir.Table, source: InteractionSource, now_ms: int) -> ir.Table:
    """Type the purchases, and say which cannot be used.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem`` and the mapped columns,
            all text.
        source: how the file is mapped.
        now_ms: the present, UTC milliseconds: a purchase a day later is impossible.

    Returns:
        ``user_id, item_id`` (string, trimmed), ``timestamp`` (int64, UTC milliseconds),
        ``position`` (int64), ``rating`` (float64), ``source_file``, ``source_order`` (int64, the
        row's number in the file), ``reason`` (string, null where the row is accepted) and
        ``raw`` (null where the row is accepted).
    """
    user_id, item_id = _identifier(raw.user_id), _identifier(raw.item_id)
    checks = [
        (raw.problem.notnull(), raw.problem),
        (user_id.isnull(), "missing user_id"),
        (item_id.isnull(), "missing item_id"),
    ]
    timestamp: ir.Value = ibis.null("int64")
    position: ir.Value = ibis.null("int64")
    rating: ir.Value = ibis.null("float64")
    if "timestamp" in source.columns:
        timestamp = _milliseconds(raw.timestamp, source.timestamp_unit)
        impossible = (timestamp < _FIRST_MS) | (timestamp > now_ms + _DAY_MS)
        checks += [
            (_identifier(raw.timestamp).isnull(), "missing timestamp"),
            (timestamp.isnull(), "timestamp is not a time"),
            (impossible, "impossible timestamp"),
        ]
    if "position" in source.columns:
        position = portable.round_number(portable.parse_number(raw.position))
        checks += [
            (_identifier(raw.position).isnull(), "missing position"),
            (position.isnull(), "position is not a number"),
        ]
    if "rating" in source.columns:
        rating = portable.parse_number(raw.rating)
    reason = ibis.cases(*checks)
    return raw.select(
        user_id=user_id,
        item_id=item_id,
        timestamp=timestamp,
        position=position,
        rating=rating,
        source_file=raw.source_file,
        source_order=raw.row_number,
        reason=reason,
        raw=reason.isnull().ifelse(ibis.null("string"), raw.raw),
    )


def type_products(raw: ir.Table) -> ir.Table:
    """Type the products, and say which cannot be used. A missing title is no reason.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem, item_id, title``, all text.

    Returns:
        ``item_id`` (string, trimmed), ``title`` (string, white space collapsed, null where it is
        missing or blank), ``source_file``, ``source_order``, ``reason`` and ``raw`` as
        :func:`type_interactions` gives them.
    """
    item_id = _identifier(raw.item_id)
    reason = ibis.cases((raw.problem.notnull(), raw.problem), (item_id.isnull(), "missing item_id"))
    return raw.select(
        item_id=item_id,
        title=_identifier(raw.title.re_replace(rf"{portable.WHITE}+", " ")),
        source_file=raw.source_file,
        source_order=raw.row_number,
        reason=reason,
        raw=reason.isnull().ifelse(ibis.null("string"), raw.raw),
    )


def read_once(typed: ir.Table) -> ir.Table:
    """Run the expression now and keep its rows, so that the raw file is taken apart once.

    Raises:
        InputError: if the backend cannot read the file.
    """
    try:
        return typed.cache()
    except Exception as error:
        if "duckdb" not in type(error).__module__:
            raise
        told = "\n  ".join(str(error).splitlines()[:3])
        raise InputError(f"a raw file cannot be read:\n  {told}") from error


def count_rows(typed: ir.Table) -> ir.Table:
    """Count rows per source file: ``source_file, rows_read, rows_kept, rows_rejected``."""
    return typed.group_by("source_file").aggregate(
        rows_read=typed.count(),
        rows_kept=typed.count(where=typed.reason.isnull()),
        rows_rejected=typed.count(where=typed.reason.notnull()),
    )


def accept(typed: ir.Table, max_reject_share: float) -> ir.Table:
    """Return the accepted rows, without ``reason`` and ``raw``.

    Args:
        typed: what :func:`type_interactions` or :func:`type_products` gave.
        max_reject_share: share of a file's rows that may be rejected.

    Raises:
        InputError: if a larger share is rejected, or nothing is left; with the reasons.
    """
    for counts in count_rows(typed).order_by("source_file").to_pyarrow().to_pylist():
        logger.info(
            "%s: %d rows read, %d kept, %d rejected",
            counts["source_file"],
            counts["rows_read"],
            counts["rows_kept"],
            counts["rows_rejected"],
        )
        share = counts["rows_rejected"] / counts["rows_read"]
        if share > max_reject_share or counts["rows_kept"] == 0:
            rejects = collect_rejects(typed).to_pyarrow().to_pylist()
            told = "\n".join(
                f"  {row['count']} x {row['reason']}, such as: {row['examples'][0]}"
                for row in rejects
                if row["source_file"] == counts["source_file"]
            )
            raise InputError(
                f"{counts['source_file']}: {counts['rows_rejected']} of {counts['rows_read']} rows "
                f"({share:.1%}) cannot be used; ingestion.max_reject_share allows "
                f"{max_reject_share:.1%}\n{told}\n"
                "Mend the file or its columns in globals.yml, or allow a larger share"
            )
    return typed.filter(typed.reason.isnull()).drop("reason", "raw")


def collect_rejects(typed: ir.Table) -> ir.Table:
    """Collect what was rejected.

    Returns:
        A row per file and reason: ``source_file, reason, count`` (int64) and ``examples``
        (array of string), the first records up to 20.
    """
    rejected = typed.filter(typed.reason.notnull())
    group = ["source_file", "reason"]
    numbered = rejected.mutate(
        place=ibis.row_number().over(group_by=group, order_by=rejected.source_order),
        count=rejected.count().over(group_by=group),
    )
    first = numbered.filter(numbered.place < EXAMPLES).order_by(*group, "place")
    # Few rows, put together here: not every engine collects an array in an order.
    rows: list[dict[str, Any]] = []
    for row in first.select(*group, "count", "raw").to_pyarrow().to_pylist():
        example = row.pop("raw")
        if not rows or any(rows[-1][column] != row[column] for column in group):
            rows.append({**row, "examples": []})
        rows[-1]["examples"].append(example)
    return ibis.memtable(pa.Table.from_pylist(rows, schema=_REJECTS))


def _identifier(text: ir.StringValue) -> ir.StringValue:
    """Text without white space around it, null where nothing is left."""
    return portable.strip(text).nullif("")


def _milliseconds(text: ir.StringValue, unit: str | None) -> ir.IntegerValue:
    """UTC milliseconds, null where the text is not a time."""
    if unit == "iso":
        return portable.parse_time(text)
    number = portable.parse_number(text)
    return portable.round_number(number * (1000 if unit == "s" else 1))
