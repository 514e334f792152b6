"""Detect the format of the times in a column."""

import calendar
import json
import re
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import or_
from typing import Any

import ibis.expr.types as ir

from bazar.config.sources import TIME_UNITS
from bazar.errors import InputError
from bazar.ingestion.parsing import NUMBER, strip_text
from bazar.ingestion.time_formats import ISO, ZONE_OFFSETS, TimePattern, compile_format
from bazar.ingestion.times import is_possible, parse_timestamp

_MAX_SHAPES = 1000
"""Number of shapes, such as 11.11.1111, that candidates are compared with."""
_CLOCKS = (
    "%H:%M[:%S]",
    "%I:%M[:%S][ ]%p",
    "%H:%M:%S[.%f][[ ]%z]",
    "%H:%M[ ]%z",
    "%I:%M[:%S][ ]%p[ ]%z",
)
_SEPARATORS = (" ", ", ", " at ")
"""Texts between date and clock. The last one is used only after a month's name."""
_ENDS_WITH_ZONE = re.compile(r"\d ?(?![APap][Mm]$)[A-Z]{2,5}$")
"""A time that ends with the abbreviation of a zone, such as ``10:00 IST``."""
_NUMERIC_DATES = (
    *(
        separator.join(date)
        for separator in "./-"
        for year in ("%Y", "%y")
        for date in (("%d", "%m", year), ("%m", "%d", year))
    ),
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%y-%m-%d",
    "%Y%m%d",
    "%m %d, %Y",
)
_NAMED_DATES = (
    "%d %b %Y",
    "%d %b, %Y",
    "%d %b %y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%Y",
    "%d. %b %Y",
    "%d de %b de %Y",
    "%b %d, %Y",
    "%b %d, %y",
    "%b %d %Y",
    "%b-%d-%Y",
    "%b-%d-%y",
    "%Y-%b-%d",
)
_OTHER_FORMATS = (
    "%Y%m%d[%H%M[%S]]",
    "%Y%m%d[T%H%M%S[%z]]",
    "%d/%b/%Y:%H:%M:%S[ %z]",
    "%d%b%Y[:%H:%M:%S]",
    "%b %d %H:%M:%S[ %Z] %Y",
)


class AmbiguousTimesError(InputError):
    """Several formats fit the times of a column equally well, and give different times.

    Attributes:
        formats: the formats, as values of ``timestamp_format``.
        example: a value that they read as different times.
    """

    def __init__(self, message: str, formats: list[str], example: str) -> None:
        super().__init__(message)
        self.formats = formats
        self.example = example


class UnknownTimesError(InputError):
    """No format fits the times of a column.

    Attributes:
        examples: values of the column, as they are written in a message.
    """

    def __init__(self, message: str, examples: str) -> None:
        super().__init__(message)
        self.examples = examples


def detect_time_format(table: ir.Table, column: str, now_ms: int, setting: str) -> str:
    """Detect the format of the times in a column.

    All values decide. The result is the format in which most of them are times between 1995 and
    a day after now.

    Args:
        table: a table. It should be cached, because it is read up to three times.
        column: a column of text.
        now_ms: the current time, UTC milliseconds.
        setting: path of the source in the configuration, such as ``interactions.shop``, for error
            messages.

    Returns:
        A value for ``timestamp_format``. ``iso`` if the column is blank.

    Raises:
        UnknownTimesError: if fewer than half of the values are times in one format.
        AmbiguousTimesError: if two formats fit equally well, but give different times, such as day
            first and month first.
    """
    rows = table.select(text=strip_text(table[column]))
    rows = rows.filter(rows.text.notnull())
    values = rows.group_by("text").aggregate(number=rows.count())
    shapes = _collect_shapes(values)
    if not shapes:
        return "iso"
    total = shapes[0]["total"]
    candidates = _select_candidates(shapes, total)
    counts = _count_times(values, candidates, now_ms)
    best = max(counts, default=0)
    if best * 2 < total:
        raise _make_unknown_format_error(shapes, setting)
    tied = [name for name, count in zip(candidates, counts, strict=True) if count == best]
    if len(tied) > 1 and (difference := _find_difference(values, tied, now_ms)) is not None:
        raise _make_ambiguity_error(*difference, setting)
    return tied[0]


@cache
def _list_formats() -> tuple[tuple[str, str], ...]:
    """List pairs of a date's format and a format with an optional clock."""
    return (
        *(
            (date, f"{date}[{separator}{clock}]")
            for dates, separators in (
                (_NUMERIC_DATES, _SEPARATORS[:2]),
                (_NAMED_DATES, _SEPARATORS),
            )
            for date in dates
            for separator in separators
            for clock in _CLOCKS
        ),
        *((name, name) for name in _OTHER_FORMATS),
    )


def _collect_shapes(values: ir.Table) -> list[dict[str, Any]]:
    """Return the most frequent shapes: the values with all digits replaced by 1.

    Returns:
        ``shape``, ``number`` (rows), ``example`` and ``total`` (rows of all shapes).
    """
    shaped = values.mutate(shape=values.text.translate("023456789", "1" * 9))
    shapes = shaped.group_by("shape").aggregate(
        number=shaped.number.sum(), example=shaped.text.min()
    )
    shapes = shapes.mutate(total=shapes.number.sum().over())
    first = shapes.order_by(shapes.number.desc(), shapes.shape).limit(_MAX_SHAPES)
    return first.to_pyarrow().to_pylist()


def _select_candidates(shapes: list[dict[str, Any]], total: int) -> list[str]:
    """Return the formats that may fit half of the values, because they fit the shapes.

    A pattern that fits a value also fits its shape, because 1 and 11 are valid everywhere. Of
    formats that give equal times, only the first is returned.
    """
    rare = total - sum(shape["number"] for shape in shapes)

    def find_fitting(pattern: TimePattern) -> tuple[str, ...]:
        fitting = [shape for shape in shapes if pattern.fits(shape["shape"])]
        may_fit_half = (sum(shape["number"] for shape in fitting) + rare) * 2 >= total
        return tuple(shape["shape"] for shape in fitting) if may_fit_half else ()

    candidates = ["iso"] if find_fitting(ISO) else []
    if find_fitting(TimePattern(NUMBER, {})):
        candidates += [*TIME_UNITS, "excel"]
    # Formats with the same date that fit the same shapes differ only in parts that do not occur.
    formats: dict[Any, str] = {}
    for date, time_format in _list_formats():
        if fitting := find_fitting(compile_format(time_format)):
            formats.setdefault((date, fitting), time_format)
    return candidates + list(formats.values())


def _count_times(values: ir.Table, candidates: list[str], now_ms: int) -> list[int]:
    """Return the number of rows that are possible times, for each candidate."""
    if not candidates:
        return []
    sums = {
        str(number): values.number.sum(
            where=is_possible(parse_timestamp(values.text, candidate, "UTC"), now_ms)
        ).fill_null(0)
        for number, candidate in enumerate(candidates)
    }
    [counts] = values.aggregate(**sums).to_pyarrow().to_pylist()
    return [counts[str(number)] for number in range(len(candidates))]


def _find_difference(
    values: ir.Table, formats: list[str], now_ms: int
) -> tuple[str, dict[int, str]] | None:
    """Find a value that the formats read as different times.

    Returns:
        The value, and the formats by the time (UTC milliseconds) that they read; or None if there
        is no such value.
    """
    names = [str(number) for number in range(len(formats))]
    readings = values.select(
        "text",
        **{
            name: parse_timestamp(values.text, time_format, "UTC")
            for name, time_format in zip(names, formats, strict=True)
        },
    )
    is_read = {name: is_possible(readings[name], now_ms) for name in names}
    first, *others = names
    is_different = [
        is_read[first] & is_read[name] & (readings[first] != readings[name]) for name in others
    ]
    different = readings.filter(reduce(or_, is_different)).order_by("text").limit(1)
    for row in different.to_pyarrow().to_pylist():
        formats_by_time: dict[int, str] = {}
        for name, time_format in zip(names, formats, strict=True):
            if row[name] is not None:
                formats_by_time.setdefault(row[name], time_format)
        return row["text"], formats_by_time
    return None


def _make_ambiguity_error(
    example: str, formats: dict[int, str], setting: str
) -> AmbiguousTimesError:
    """Return the error for values that formats read differently."""
    listed = "\n".join(
        f"  {_format_date(time)} with timestamp_format: {json.dumps(time_format)}"
        for time, time_format in formats.items()
    )
    return AmbiguousTimesError(
        f"{setting}.timestamp_format: {len(formats)} formats fit the times equally well, and no "
        f"value of the column shows which one is right. For example, {example!r} is\n{listed}\n"
        f"Set {setting}.timestamp_format in globals.yml to the right one.",
        list(formats.values()),
        example,
    )


def _format_date(timestamp: int) -> str:
    """Write a date without ambiguity, such as ``4 March 2024``."""
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=timestamp)
    return f"{moment.day} {calendar.month_name[moment.month]} {moment.year}"


def _make_unknown_format_error(shapes: list[dict[str, Any]], setting: str) -> UnknownTimesError:
    """Return the error for a column without a known format."""
    found = [shape["example"] for shape in shapes[:3]]
    examples = ", ".join(map(repr, found))
    hint = (
        f"Of the abbreviations of zones, only {', '.join(ZONE_OFFSETS)}, UTC and GMT are read. "
        "Write an offset such as +05:30 instead, or remove the abbreviation and set timezone.\n"
        if any(map(_ENDS_WITH_ZONE.search, found))
        else ""
    )
    return UnknownTimesError(
        f"{setting}.timestamp_format: the format of the times is unknown, for example "
        f"{examples}.\n{hint}Set {setting}.timestamp_format in globals.yml to iso, s, ms, us, ns, "
        'excel, or a format such as "%d.%m.%Y %H:%M:%S" or "%b %d, %Y %I:%M %p". If these are not '
        f"times, correct {setting}.columns.timestamp.",
        examples,
    )
