"""Convert raw records to typed rows. Each row is accepted, or rejected with a reason.

The functions return Ibis expressions that run on any backend.
"""

import logging
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.data import InteractionSource, ProductSource
from bazar.errors import InputError
from bazar.ingestion import parsing
from bazar.ingestion.attributes import join_attributes
from bazar.ingestion.readers.sql import extract_input_error
from bazar.ingestion.titles import clean_titles, decode_url_names

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 20
"""Maximum number of example records per file and reject reason."""
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
"""1995-01-01, before the first online stores."""
_DAY_MS = 86_400_000
_ADVICE = {
    "not UTF-8": "Convert the file to UTF-8, for example: iconv -f cp1252 -t utf-8 FILE > NEW_FILE",
    "timestamp is not a time": "Set timestamp_unit to ms, s or iso. iso accepts 2024-03-01, "
    "2024-03-01 10:21:00 and 2024-03-01T10:21:00+02:00. Convert other formats.",
}
"""Advice by the most frequent reject reason of a file."""
_OTHER_UNIT = {"ms": "s", "s": "ms"}
"""Unit that a file may have instead of the expected unit."""
_NAME_IN_URL = r"^https?://[^/]+/([^/]+)/dp/"


def type_interactions(raw: ir.Table, source: InteractionSource, now_ms: int) -> ir.Table:
    """Convert raw interactions to typed rows, with a reason for each rejected row.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem`` and the mapped columns,
            all text.
        source: the column mapping.
        now_ms: the current time, UTC milliseconds. An interaction more than a day later is
            rejected.

    Returns:
        ``user_id, item_id`` (string, trimmed), ``timestamp`` (int64, UTC milliseconds),
        ``position`` (int64), ``rating`` (float64), ``source_file``, ``source_order`` (int64, the
        row's number in the file), ``reason`` (string, null if the row is accepted) and ``raw``
        (null if the row is accepted).
    """
    values = _parse_columns(raw, source)
    no_value = ibis.null("int64")
    has_timestamp, has_position = (name in source.columns for name in ("timestamp", "position"))
    typed = values.select(
        "user_id",
        "item_id",
        "source_file",
        "raw",
        timestamp=_convert_timestamp(values, source) if has_timestamp else no_value,
        position=parsing.round_number(values.position_value) if has_position else no_value,
        rating=values.rating_value if "rating" in source.columns else ibis.null("float64"),
        source_order=values.row_number,
        reason=ibis.cases(*_list_checks(values, source)),
    )
    if has_timestamp:
        is_impossible = typed.reason.isnull() & ~_is_possible(typed.timestamp, now_ms)
        typed = typed.mutate(reason=is_impossible.ifelse(IMPOSSIBLE, typed.reason))
    return _drop_raw_if_accepted(typed)


def _parse_columns(raw: ir.Table, source: InteractionSource) -> ir.Table:
    """Strip the ids, and add the parsed numbers and times as ``<name>_value``.

    The parsed values are separate columns, because several expressions use them.
    """
    parsers = {
        "timestamp": parsing.parse_time if source.timestamp_unit == "iso" else parsing.parse_number,
        "position": parsing.parse_number,
        "rating": parsing.parse_number,
    }
    return raw.mutate(
        user_id=_strip_text(raw.user_id),
        item_id=_strip_text(raw.item_id),
        **{
            f"{name}_value": parse(raw[name])
            for name, parse in parsers.items()
            if name in source.columns
        },
    )


def _convert_timestamp(values: ir.Table, source: InteractionSource) -> ir.Value:
    """Return UTC milliseconds (int64)."""
    if source.timestamp_unit == "iso":
        return values.timestamp_value
    scale = 1000 if source.timestamp_unit == "s" else 1
    return parsing.round_number(values.timestamp_value * scale)


def _list_checks(
    values: ir.Table, source: InteractionSource
) -> list[tuple[ir.BooleanValue, ir.Value | str]]:
    """Return pairs of a condition and a reject reason. The first true condition is used."""
    checks: list[tuple[ir.BooleanValue, ir.Value | str]] = [
        (values.problem.notnull(), values.problem),
        (values.user_id.isnull(), "missing user_id"),
        (values.item_id.isnull(), "missing item_id"),
    ]
    for name, kind in (("timestamp", "time"), ("position", "number")):
        if name in source.columns:
            is_unparsed = values[f"{name}_value"].isnull()
            checks += [
                (is_unparsed & _strip_text(values[name]).isnull(), f"missing {name}"),
                (is_unparsed, f"{name} is not a {kind}"),
            ]
    return checks


def _drop_raw_if_accepted(typed: ir.Table) -> ir.Table:
    return typed.mutate(raw=typed.reason.isnull().ifelse(ibis.null("string"), typed.raw))


def convert_time_units(typed: ir.Table, source: InteractionSource, now_ms: int) -> ir.Table:
    """Convert timestamps that are in seconds instead of milliseconds, or vice versa.

    A file is converted if none of its timestamps is possible in the expected unit, and some are
    possible in the other unit.

    Args:
        typed: result of :func:`type_interactions`.
        source: the column mapping.
        now_ms: the current time, UTC milliseconds.
    """
    if source.timestamp_unit not in _OTHER_UNIT:
        return typed
    unit = _OTHER_UNIT[source.timestamp_unit]
    first, last = _FIRST_MS, now_ms + _DAY_MS
    if unit == "s":
        bounds, converted = (first // 1000, last // 1000), typed.timestamp * 1000
    else:
        bounds, converted = (first * 1000, last * 1000), typed.timestamp // 1000
    is_convertible = (typed.reason == IMPOSSIBLE) & typed.timestamp.between(*bounds)
    files = typed.group_by("source_file").aggregate(
        possible=typed.count(where=_is_possible(typed.timestamp, now_ms)),
        convertible=typed.count(where=is_convertible),
    )
    converted_files = files.filter((files.possible == 0) & (files.convertible > 0))
    names = converted_files.source_file.to_pyarrow().to_pylist()
    if not names:
        return typed
    for name in names:
        logger.warning(
            "%s: timestamps are in %s, but timestamp_unit is %s. They were converted.",
            name,
            unit,
            source.timestamp_unit,
        )
    is_converted = typed.source_file.isin(names) & is_convertible
    return typed.mutate(
        timestamp=is_converted.ifelse(converted, typed.timestamp),
        reason=is_converted.ifelse(ibis.null("string"), typed.reason),
        raw=is_converted.ifelse(ibis.null("string"), typed.raw),
    )


def check_timestamps_in_all_sources(sources: dict[str, InteractionSource]) -> None:
    """Raise InputError if some sources have timestamps and others only positions.

    Timestamps and positions cannot be sorted together.

    Args:
        sources: the sources that have files.
    """
    has_timestamp = {name: "timestamp" in source.columns for name, source in sources.items()}
    if len(set(has_timestamp.values())) > 1:
        found = ", ".join(
            f"interactions.{name} has {'timestamps' if timestamp else 'only positions'}"
            for name, timestamp in has_timestamp.items()
        )
        raise InputError(
            f"purchases of these sources have no common order: {found}\n"
            "Keep only one of these sources in globals.yml, or only its files in raw_dir."
        )


def type_products(raw: ir.Table, source: ProductSource, name: str, trust: int) -> ir.Table:
    """Convert raw products to typed rows, with a reason for each rejected row.

    A product without a title is accepted.

    Args:
        raw: the raw table: ``source_file, row_number, raw, problem, item_id`` and the mapped
            columns among ``title``, ``url`` and ``attributes``, all text.
        source: the column mapping.
        name: name of the source.
        trust: position of the source in the order of trust, where 0 is trusted most.

    Returns:
        ``item_id`` (string, trimmed), ``title`` (string, cleaned by
        :func:`bazar.ingestion.titles.clean_title`, null if there is none), ``attributes`` (string,
        combined by :func:`bazar.ingestion.attributes.join_attribute_texts`, null if there are
        none), ``title_source`` (string, the name), ``trust`` (int32), and ``source_file``,
        ``source_order``, ``reason`` and ``raw`` as in :func:`type_interactions`.
    """
    text = raw.title
    if "url" in source.columns:
        text = decode_url_names(raw.url.re_extract(_NAME_IN_URL, 1))
    cleaned = raw.mutate(
        item_id=_strip_text(raw.item_id),
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
    return _drop_raw_if_accepted(typed)


def cache_table(typed: ir.Table) -> ir.Table:
    """Run an expression and cache its rows, so that a raw file is parsed only once.

    Raises:
        InputError: if the backend cannot read the file.
    """
    fuse_selects = ibis.options.sql.fuse_selects
    try:
        # Fused selects would compute common inputs again for every column.
        ibis.options.sql.fuse_selects = False
        # On Spark, Ibis registers UDFs when it runs a query, but not when it caches one.
        typed.limit(0).to_pyarrow()
        return typed.cache()
    except Exception as error:
        if "duckdb" not in type(error).__module__:
            raise
        if (input_error := extract_input_error(error)) is not None:
            raise input_error from error
        message = "\n  ".join(str(error).splitlines()[:3])
        raise InputError(f"a raw file cannot be read:\n  {message}") from error
    finally:
        ibis.options.sql.fuse_selects = fuse_selects


def count_rows(typed: ir.Table) -> ir.Table:
    """Count rows per source file: ``source_file, rows_read, rows_kept, rows_rejected``."""
    return typed.group_by("source_file").aggregate(
        rows_read=typed.count(),
        rows_kept=typed.count(where=typed.reason.isnull()),
        rows_rejected=typed.count(where=typed.reason.notnull()),
    )


def select_accepted(typed: ir.Table, max_reject_share: float) -> ir.Table:
    """Return the accepted rows, without ``reason`` and ``raw``.

    Args:
        typed: result of :func:`type_interactions` or :func:`type_products`.
        max_reject_share: share of a file's rows that may be rejected.

    Raises:
        InputError: if a larger share of a file, or all of it, is rejected. The message lists the
            reasons.
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
            raise _make_reject_error(typed, counts, max_reject_share)
    return typed.filter(typed.reason.isnull()).drop("reason", "raw")


def _make_reject_error(
    typed: ir.Table, counts: dict[str, Any], max_reject_share: float
) -> InputError:
    """Return the error for a file with too many rejected rows. It lists frequent reasons first."""
    rejects = collect_rejects(typed).to_pyarrow().to_pylist()
    reasons = [row for row in rejects if row["source_file"] == counts["source_file"]]
    reasons.sort(key=lambda row: -row["count"])
    listed = "\n".join(
        f"  {row['count']} x {row['reason']}, for example: {row['examples'][0]}" for row in reasons
    )
    advice = _ADVICE.get(
        reasons[0]["reason"], "Correct the file, or its columns and format in globals.yml."
    )
    return InputError(
        f"{counts['source_file']}: {counts['rows_rejected']} of {counts['rows_read']} rows "
        f"({counts['rows_rejected'] / counts['rows_read']:.1%}) cannot be used, but "
        f"ingestion.max_reject_share allows {max_reject_share:.1%}\n{listed}\n{advice}"
    )


def collect_rejects(typed: ir.Table) -> ir.Table:
    """Collect the rejected rows by file and reason.

    Returns:
        A row per file and reason: ``source_file, reason, count`` (int64) and ``examples``
        (array of string, the first 20 records).
    """
    rejected = typed.filter(typed.reason.notnull())
    group = ["source_file", "reason"]
    numbered = rejected.mutate(
        number=ibis.row_number().over(group_by=group, order_by=rejected.source_order),
        count=rejected.count().over(group_by=group),
    )
    first = numbered.filter(numbered.number < MAX_EXAMPLES).order_by(*group, "number")
    # Not every engine can collect an array in order. These few rows are collected in Python.
    rows: list[dict[str, Any]] = []
    for row in first.select(*group, "count", "raw").to_pyarrow().to_pylist():
        example = row.pop("raw")
        if not rows or any(rows[-1][column] != row[column] for column in group):
            rows.append({**row, "examples": []})
        rows[-1]["examples"].append(example)
    return ibis.memtable(pa.Table.from_pylist(rows, schema=_REJECTS))


def _is_possible(timestamp: ir.Value, now_ms: int) -> ir.BooleanValue:
    return (timestamp >= _FIRST_MS) & (timestamp <= now_ms + _DAY_MS)


def _strip_text(text: ir.StringValue) -> ir.StringValue:
    """Return the text without surrounding whitespace, or null if it is blank."""
    return parsing.strip(text).nullif("")
