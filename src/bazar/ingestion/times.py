"""Parse times in any format, with Ibis expressions that give equal results on all engines."""

import logging
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from bazar.config.sources import TIME_UNITS
from bazar.config.times import EARLIEST_MS, MAX_FUTURE_MS
from bazar.ingestion.parsing import bind, parse_number, round_number
from bazar.ingestion.time_formats import (
    ISO,
    MONTH_NAMES,
    ZONE_OFFSETS,
    TimePattern,
    compile_format,
)
from bazar.ingestion.time_zones import convert_to_utc

logger = logging.getLogger(__name__)

IMPOSSIBLE = "impossible timestamp"
"""Reject reason of times for which :func:`is_possible` is false."""
_DAY_MS = 86_400_000
_EXCEL_EPOCH = 25_569
"""Excel's number of 1970-01-01: days since 1899-12-30."""
_FIRST_TWO_DIGIT_YEAR = 69
"""Years from 69 to 99 are in the 20th century, as in POSIX."""


def parse_timestamp(text: ir.StringValue, time_format: str, zone: str) -> ir.IntegerValue:
    """Parse times into UTC milliseconds.

    Surrounding whitespace is ignored. Fractions of a millisecond are rounded in numbers, and
    truncated in other formats.

    Args:
        text: the times.
        time_format: a value of ``timestamp_format``, except ``auto``.
        zone: time zone of times without an offset, in the IANA database.

    Returns:
        UTC milliseconds (int64). Null if the text is not a time in this format.
    """
    if time_format in TIME_UNITS:
        return convert_number(parse_number(text), time_format)
    if time_format == "excel":
        days = parse_number(text) - _EXCEL_EPOCH
        return convert_to_utc(round_number(days * _DAY_MS), zone)
    pattern = ISO if time_format == "iso" else compile_format(time_format)

    def compute(parts: ir.ArrayValue) -> ir.IntegerValue:
        found = {name: _get_part(parts, number) for name, number in pattern.groups.items()}
        local = _compute_local_time(found)
        if (offset := found.get("z")) is None:
            return convert_to_utc(local, zone)
        east = _convert_offset(offset) * 60_000
        return (offset == "").ifelse(convert_to_utc(local, zone), local - east)

    return bind(_split_parts(text, pattern), compute)


def convert_number(number: ir.FloatingValue, unit: str) -> ir.IntegerValue:
    """Convert numbers in ``s``, ``ms``, ``us`` or ``ns`` to milliseconds (int64, rounded)."""
    if unit == "s":
        return round_number(number * 1000)
    divisor = {"ms": 1, "us": 1000, "ns": 1_000_000}[unit]
    return round_number(number / divisor)


def is_possible(timestamp: ir.IntegerValue, now_ms: int) -> ir.BooleanValue:
    """Return whether a purchase can have this time: from 1995 to a day after now.

    Args:
        timestamp: UTC milliseconds.
        now_ms: the current time, UTC milliseconds.
    """
    return timestamp.between(EARLIEST_MS, now_ms + MAX_FUTURE_MS)


def _split_parts(text: ir.StringValue, pattern: TimePattern) -> ir.ArrayValue:
    """Return the parts for :func:`_get_part`, or null if the text does not match the pattern."""
    matching = text.re_search(pattern.regex).ifelse(text, ibis.null("string"))
    # Replacing once is several times faster than extracting each group. In the replacement, the
    # first group is \1 in RE2 and $1 in Java. The other engine copies the text 1 or $1.
    groups = ",".join(rf"\{number},${number}" for number in range(1, len(pattern.groups) + 1))
    return matching.re_replace(pattern.regex, groups).split(",")


def _get_part(parts: ir.ArrayValue, group: int) -> ir.StringValue:
    """Return the text of a group, empty if it is in an optional part that is missing."""
    for_re2, for_java = parts[2 * group - 2], parts[2 * group - 1]
    return (for_java == f"${group}").ifelse(for_re2, for_java)


def _compute_local_time(parts: dict[str, ir.StringValue]) -> ir.IntegerValue:
    """Return the milliseconds from 1970-01-01 00:00 to the written date and clock.

    Args:
        parts: the text of each directive, empty if it is in an optional part that is missing.
    """

    def integer(name: str) -> ir.IntegerValue:
        if name not in parts:
            return ibis.literal(0, "int64")
        return parts[name].try_cast("int64").fill_null(0)

    if "Y" in parts:
        year = parts["Y"]
    else:
        short = integer("y")
        is_recent = (short < _FIRST_TWO_DIGIT_YEAR).cast("int64")
        year = (short + 1900 + is_recent * 100).cast("string")
    month = _convert_month_name(parts["b"]) if "b" in parts else parts["m"].lpad(2, "0")
    day = (year + "-" + month + "-" + parts["d"].lpad(2, "0")).try_cast("date")
    hours = integer("H")
    if "I" in parts:
        hours = integer("I") % 12
        if "p" in parts:
            hours += parts["p"].lower().startswith("p").cast("int64") * 12
    milliseconds = (parts["f"] + "000").substr(0, 3).cast("int64") if "f" in parts else integer("f")
    return (
        day.epoch_days().cast("int64") * _DAY_MS
        + (hours * 3600 + integer("M") * 60 + integer("S")) * 1000
        + milliseconds
    )


def _convert_month_name(text: ir.StringValue) -> ir.StringValue:
    """Return two digits, or an empty text if the name is not known."""

    def find_number(name: ir.StringValue) -> ir.StringValue:
        branches = (
            (name.isin(names.split()), f"{number:02d}") for number, names in MONTH_NAMES.items()
        )
        return ibis.cases(*branches, else_="")

    return bind(text.lower(), find_number)


def _convert_offset(written: ir.StringValue) -> ir.IntegerValue:
    """Convert ``+02:00``, ``+0200``, ``+02`` or ``EST`` to minutes east of UTC.

    Names of UTC give 0.
    """
    hours = written.substr(1, 2).try_cast("int64").fill_null(0)
    minutes = written.replace(":", "").substr(3, 2).try_cast("int64").fill_null(0)
    signed = written.startswith("-").ifelse(-1, 1) * (hours * 60 + minutes)
    names: dict[int, list[str]] = {}
    for name, offset in ZONE_OFFSETS.items():
        names.setdefault(offset * 60, []).append(name)
    branches = ((written.isin(listed), offset) for offset, listed in names.items())
    return ibis.cases(*branches, else_=signed)


def convert_time_units(typed: ir.Table, time_format: str, now_ms: int) -> ir.Table:
    """Convert the timestamps of files that are in another unit than ``time_format``.

    A file is converted if none of its timestamps is possible in the expected unit, and some are
    possible in another one of ``s``, ``ms``, ``us`` and ``ns``. A warning names the file.

    Args:
        typed: typed interactions with ``timestamp``, ``source_file``, ``reason`` and ``raw``, and
            with ``timestamp_number`` (float64, the number as written) if the format is a unit. It
            should be cached, because it is read twice.
        time_format: the format with which the timestamps were parsed.
        now_ms: the current time, UTC milliseconds.

    Returns:
        The table without ``timestamp_number``.
    """
    if time_format not in TIME_UNITS:
        return typed
    # The number as written: the timestamp is rounded, and clipped to the limits of int64.
    converted = {
        unit: convert_number(typed.timestamp_number, unit)
        for unit in TIME_UNITS
        if unit != time_format
    }
    is_convertible = {unit: is_possible(time, now_ms) for unit, time in converted.items()}
    files = typed.group_by("source_file").aggregate(
        possible=typed.count(where=is_possible(typed.timestamp, now_ms)),
        **{unit: typed.count(where=condition) for unit, condition in is_convertible.items()},
    )
    names: dict[str, list[str]] = {}
    for counts in (
        files.filter(files.possible == 0).order_by("source_file").to_pyarrow().to_pylist()
    ):
        unit = max(converted, key=lambda unit: counts[unit])
        if counts[unit] > 0:
            names.setdefault(unit, []).append(counts["source_file"])
            logger.warning(
                "%s: timestamps are in %s, but timestamp_format is %s. They were converted.",
                counts["source_file"],
                unit,
                time_format,
            )
    if not names:
        return typed.drop("timestamp_number")
    is_converted = {
        unit: typed.source_file.isin(listed) & is_convertible[unit]
        for unit, listed in names.items()
    }
    pairs = [(condition, converted[unit]) for unit, condition in is_converted.items()]
    is_accepted = reduce(or_, is_converted.values()) & (typed.reason == IMPOSSIBLE)
    return typed.mutate(
        timestamp=ibis.cases(*pairs, else_=typed.timestamp),
        reason=is_accepted.ifelse(ibis.null("string"), typed.reason),
        raw=is_accepted.ifelse(ibis.null("string"), typed.raw),
    ).drop("timestamp_number")
