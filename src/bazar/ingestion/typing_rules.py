"""Raw records to typed rows: each is accepted, or rejected with a reason.

Ibis expressions that run on any backend.
"""

import logging
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.data import InteractionSource, ProductSource
from bazar.errors import InputError
from bazar.ingestion import parsing as portable
from bazar.ingestion.attributes import join_attributes
from bazar.ingestion.readers import input_error
from bazar.ingestion.titles import clean_titles, unquote_names

logger = logging.getLogger(__name__)

EXAMPLES = 20
IMPOSSIBLE = "impossible timestamp"
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
_HINTS = {
    "not UTF-8": "Write the file as UTF-8, such as: iconv -f cp1252 -t utf-8 FILE",
    "timestamp is not a time": "timestamp_unit is ms, s or iso: 2024-03-01, 2024-03-01 10:21:00, "
    "2024-03-01T10:21:00+02:00. Write other times so",
}
"""What to do where most rows of a file are rejected for a reason."""
_OTHER_UNIT = {"ms": "s", "s": "ms"}
"""What a file may hold in place of what is expected."""
_NAME_IN_URL = r"^https?://[^/]+/([^/]+)/dp/"


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
    # Step by step: a value that several columns are made of is a column first.
    is_time = source.timestamp_unit == "iso"
    numbers = raw.mutate(
        user_id=_stripped(raw.user_id),
        item_id=_stripped(raw.item_id),
        **{
            f"{name}_number": portable.parse_time(raw[name])
            if name == "timestamp" and is_time
            else portable.parse_number(raw[name])
            for name in ("timestamp", "position", "rating")
            if name in source.columns
        },
    )
    timestamp: ir.Value = ibis.null("int64")
    position: ir.Value = ibis.null("int64")
    checks = [
        (numbers.problem.notnull(), numbers.problem),
        (numbers.user_id.isnull(), "missing user_id"),
        (numbers.item_id.isnull(), "missing item_id"),
    ]
    if "timestamp" in source.columns:
        timestamp = numbers.timestamp_number
        if not is_time:
            scale = 1000 if source.timestamp_unit == "s" else 1
            timestamp = portable.round_number(timestamp * scale)
        not_a_time = numbers.timestamp_number.isnull()
        checks += [
            (not_a_time & _stripped(numbers.timestamp).isnull(), "missing timestamp"),
            (not_a_time, "timestamp is not a time"),
        ]
    if "position" in source.columns:
        position = portable.round_number(numbers.position_number)
        not_a_number = numbers.position_number.isnull()
        checks += [
            (not_a_number & _stripped(numbers.position).isnull(), "missing position"),
            (not_a_number, "position is not a number"),
        ]
    typed = numbers.select(
        "user_id",
        "item_id",
        "source_file",
        "raw",
        timestamp=timestamp,
        position=position,
        rating=numbers.rating_number if "rating" in source.columns else ibis.null("float64"),
        source_order=numbers.row_number,
        reason=ibis.cases(*checks),
    )
    if "timestamp" in source.columns:
        impossible = typed.reason.isnull() & ~_possible(typed.timestamp, now_ms)
        typed = typed.mutate(reason=impossible.ifelse(IMPOSSIBLE, typed.reason))
    return typed.mutate(raw=typed.reason.isnull().ifelse(ibis.null("string"), typed.raw))


def convert_time_units(typed: ir.Table, source: InteractionSource, now_ms: int) -> ir.Table:
    """Convert the times of files that are in seconds where milliseconds are expected, or reverse.

    A file is converted only if it is so as a whole: none of its times is possible as it is, and
    some are in the other unit.

    Args:
        typed: what :func:`type_interactions` gave.
        source: how the files are mapped.
        now_ms: the present, UTC milliseconds.
    """
    if source.timestamp_unit not in _OTHER_UNIT:
        return typed
    unit = _OTHER_UNIT[source.timestamp_unit]
    first, last = _FIRST_MS, now_ms + _DAY_MS
    if unit == "s":
        in_other, converted = (first // 1000, last // 1000), typed.timestamp * 1000
    else:
        in_other, converted = (first * 1000, last * 1000), typed.timestamp // 1000
    rescued = (typed.reason == IMPOSSIBLE) & typed.timestamp.between(*in_other)
    files = typed.group_by("source_file").aggregate(
        possible=typed.count(where=_possible(typed.timestamp, now_ms)),
        rescued=typed.count(where=rescued),
    )
    whole = files.filter((files.possible == 0) & (files.rescued > 0)).to_pyarrow().to_pylist()
    if not whole:
        return typed
    names = [file["source_file"] for file in whole]
    for name in names:
        logger.warning(
            "%s: its times are in %s, not in %s as timestamp_unit says: converted",
            name,
            unit,
            source.timestamp_unit,
        )
    mended = typed.source_file.isin(names) & rescued
    return typed.mutate(
        timestamp=mended.ifelse(converted, typed.timestamp),
        reason=mended.ifelse(ibis.null("string"), typed.reason),
        raw=mended.ifelse(ibis.null("string"), typed.raw),
    )


def check_one_clock(sources: dict[str, InteractionSource]) -> None:
    """Refuse sources that cannot be put in one order.

    Args:
        sources: those that have files.

    Raises:
        InputError: if some have a timestamp and others a position alone.
    """
    clocks = {name: "timestamp" in source.columns for name, source in sources.items()}
    if len(set(clocks.values())) > 1:
        told = ", ".join(
            f"interactions.{name} has {'a timestamp' if clock else 'a position alone'}"
            for name, clock in clocks.items()
        )
        raise InputError(
            f"purchases that cannot be put in one order: {told}\n"
            "Keep the files of one of them in raw_dir, or one of them in globals.yml"
        )


def type_products(raw: ir.Table, source: ProductSource, name: str, trust: int) -> ir.Table:
    """Type the products, and say which cannot be used. A missing title is no reason.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem, item_id`` and the mapped of
            ``title``, ``url`` and ``attributes``, all text.
        source: how the files are mapped.
        name: name of the source.
        trust: the source's place in the order of trust; a lower one is trusted more.

    Returns:
        ``item_id`` (string, trimmed), ``title`` (string, as :func:`bazar.titles.clean_title`
        gives it, null where nothing is left), ``attributes`` (string, as
        :func:`bazar.attributes.join_attribute_texts` gives it, null where there are none),
        ``title_source`` (string, the name), ``trust`` (int32), ``source_file``, ``source_order``,
        ``reason`` and ``raw`` as :func:`type_interactions` gives them.
    """
    text = raw.title
    if "url" in source.columns:
        text = unquote_names(raw.url.re_extract(_NAME_IN_URL, 1))
    cleaned = raw.mutate(
        item_id=_stripped(raw.item_id),
        title=clean_titles(text).nullif(""),
        attributes=join_attributes(raw.attributes).nullif("")
        if "attributes" in source.columns
        else ibis.null("string"),
    )
    typed = cleaned.select(
        "item_id",
        "title",
        "attributes",
        "source_file",
        "raw",
        title_source=ibis.literal(name),
        trust=ibis.literal(trust, "int32"),
        source_order=cleaned.row_number,
        reason=ibis.cases(
            (cleaned.problem.notnull(), cleaned.problem),
            (cleaned.item_id.isnull(), "missing item_id"),
        ),
    )
    return typed.mutate(raw=typed.reason.isnull().ifelse(ibis.null("string"), typed.raw))


def cache_table(typed: ir.Table) -> ir.Table:
    """Run the expression now and keep its rows, so that the raw file is taken apart once.

    Raises:
        InputError: if the backend cannot read the file.
    """
    fused = ibis.options.sql.fuse_selects
    try:
        # Fused into one, the steps of an expression repeat what they are made of in every column.
        ibis.options.sql.fuse_selects = False
        # On Spark, Ibis makes its functions known to a query that it runs, not to one it keeps.
        typed.limit(0).to_pyarrow()
        return typed.cache()
    except Exception as error:
        if "duckdb" not in type(error).__module__:
            raise
        if (of_file := input_error(error)) is not None:
            raise of_file from error
        told = "\n  ".join(str(error).splitlines()[:3])
        raise InputError(f"a raw file cannot be read:\n  {told}") from error
    finally:
        ibis.options.sql.fuse_selects = fused


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
            own = [row for row in rejects if row["source_file"] == counts["source_file"]]
            own.sort(key=lambda row: -row["count"])
            told = "\n".join(
                f"  {row['count']} x {row['reason']}, such as: {row['examples'][0]}" for row in own
            )
            hint = _HINTS.get(own[0]["reason"], "Mend the file or its columns in globals.yml")
            raise InputError(
                f"{counts['source_file']}: {counts['rows_rejected']} of {counts['rows_read']} rows "
                f"({share:.1%}) cannot be used; ingestion.max_reject_share allows "
                f"{max_reject_share:.1%}\n{told}\n{hint}"
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


def _possible(timestamp: ir.Value, now_ms: int) -> ir.BooleanValue:
    return (timestamp >= _FIRST_MS) & (timestamp <= now_ms + _DAY_MS)


def _stripped(text: ir.StringValue) -> ir.StringValue:
    """Text without white space around it, null where nothing is left."""
    return portable.strip(text).nullif("")
