"""Count accepted, excluded and rejected rows, and select the accepted ones."""

import logging
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.deleted_users import DELETED_CUSTOMER
from bazar.ingestion.returns import RETURN

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 20
"""Maximum number of example records per file and reason."""
_REJECTS = pa.schema(
    {
        "source_file": pa.string(),
        "kind": pa.string(),
        "reason": pa.string(),
        "count": pa.int64(),
        "examples": pa.list_(pa.string()),
    }
)
_ADVICE = {
    "not UTF-8": "Set the encoding of the source in globals.yml, for example encoding: cp1252, or "
    "convert the file: iconv -f cp1252 -t utf-8 FILE > NEW_FILE",
    "timestamp is not a time": "Set timestamp_format of the source in globals.yml, for example "
    '"%d.%m.%Y %H:%M", iso or ms. auto finds the format that fits the column.',
    "impossible timestamp": "Set timestamp_format of the source in globals.yml: s, ms, us and ns "
    "are units since 1970.",
    "quantity is not a number": "Check columns.quantity and decimal of the source in globals.yml.",
    RETURN: "Returns are not purchases. Add the files of the purchases to the source in "
    "globals.yml, or correct columns.quantity and returns.where.",
    DELETED_CUSTOMER: "Add the files of other customers to the source in globals.yml.",
    "price is not a number": "Check columns.price and decimal of the source in globals.yml.",
}
"""Advice by the most frequent reason of a file."""


def count_rows(typed: ir.Table) -> ir.Table:
    """Count rows per source file.

    Returns:
        ``source_file, rows_read, rows_kept, rows_excluded, rows_rejected``.
    """
    has_reason = typed.reason.notnull()
    return typed.group_by("source_file").aggregate(
        rows_read=typed.count(),
        rows_kept=typed.count(where=~has_reason),
        rows_excluded=typed.count(where=has_reason & typed.is_excluded),
        rows_rejected=typed.count(where=has_reason & ~typed.is_excluded),
    )


def select_accepted(typed: ir.Table, max_reject_share: float) -> ir.Table:
    """Return the accepted rows, without ``reason``, ``is_excluded`` and ``raw``.

    Args:
        typed: result of :func:`bazar.ingestion.typing_rules.type_interactions` or
            ``type_products``.
        max_reject_share: share of a file's rows that may be rejected. Excluded rows do not count.

    Raises:
        InputError: if a larger share of a file is rejected, or no row of any file is kept. The
            message lists the reasons.
    """
    content = "orders" if "user_id" in typed.columns else "products"
    files = count_rows(typed).order_by("source_file").to_pyarrow().to_pylist()
    is_any_kept = any(counts["rows_kept"] for counts in files)
    for counts in files:
        logger.info(
            "%s as %s: %d rows read, %d kept, %d excluded, %d rejected",
            counts["source_file"],
            content,
            counts["rows_read"],
            counts["rows_kept"],
            counts["rows_excluded"],
            counts["rows_rejected"],
        )
        n_counted = counts["rows_read"] - counts["rows_excluded"]
        share = counts["rows_rejected"] / max(1, n_counted)
        is_useless = counts["rows_kept"] == 0 and (counts["rows_rejected"] or not is_any_kept)
        if share > max_reject_share or is_useless:
            raise _make_reject_error(typed, counts, content, max_reject_share)
        if counts["rows_kept"] == 0:
            # The export of a day may contain only returns.
            logger.warning(
                "%s as %s: all rows are excluded, by the rules of the source in globals.yml or "
                "because their customers were deleted",
                counts["source_file"],
                content,
            )
    return typed.filter(typed.reason.isnull()).drop("reason", "is_excluded", "raw")


def _make_reject_error(
    typed: ir.Table, counts: dict[str, Any], content: str, max_reject_share: float
) -> InputError:
    """Return the error for a file with too many rejected rows. It lists frequent reasons first."""
    rows = collect_rejects(typed).to_pyarrow().to_pylist()
    kinds = {"rejected"} if counts["rows_kept"] else {"rejected", "excluded"}
    reasons = [
        row for row in rows if row["source_file"] == counts["source_file"] and row["kind"] in kinds
    ]
    reasons.sort(key=lambda row: -row["count"])
    listed = "\n".join(
        f"  {row['count']} x {row['reason']}"
        + (f", for example: {row['examples'][0]}" if row["examples"] else "")
        for row in reasons
    )
    advice = _ADVICE.get(
        reasons[0]["reason"],
        "Check the columns, the format and the rules of this source in globals.yml."
        if reasons[0]["kind"] == "excluded"
        else "Correct the file, or its columns and format in globals.yml.",
    )
    name, read = f"{counts['source_file']} as {content}", counts["rows_read"]
    if not counts["rows_kept"]:
        return InputError(f"{name}: none of the {read} rows can be used\n{listed}\n{advice}")
    n_counted = read - counts["rows_excluded"]
    return InputError(
        f"{name}: {counts['rows_rejected']} of {n_counted} rows "
        f"({counts['rows_rejected'] / n_counted:.1%}) cannot be used, but "
        f"ingestion.max_reject_share allows {max_reject_share:.1%}\n{listed}\n{advice}"
    )


def collect_rejects(typed: ir.Table) -> ir.Table:
    """Collect the rejected and the excluded rows by file and reason.

    Returns:
        A row per file and reason: ``source_file``, ``kind`` (``rejected`` or ``excluded``),
        ``reason``, ``count`` (int64) and ``examples`` (array of string, the first 20 records;
        empty for deleted users, whose records are not shown).
    """
    group = ["source_file", "kind", "reason"]
    removed = typed.filter(typed.reason.notnull())
    removed = removed.mutate(kind=removed.is_excluded.ifelse("excluded", "rejected"))
    numbered = removed.mutate(
        number=ibis.row_number().over(group_by=group, order_by=removed.source_order),
        count=removed.count().over(group_by=group),
    )
    first = numbered.filter(numbered.number < MAX_EXAMPLES).order_by(*group, "number")
    # Not every engine can collect an array in order. These few rows are collected in Python.
    rows: list[dict[str, Any]] = []
    for row in first.select(*group, "count", "raw").to_pyarrow().to_pylist():
        example = row.pop("raw")
        if not rows or any(rows[-1][column] != row[column] for column in group):
            rows.append({**row, "examples": []})
        if example is not None:
            rows[-1]["examples"].append(example)
    return ibis.memtable(pa.Table.from_pylist(rows, schema=_REJECTS))
