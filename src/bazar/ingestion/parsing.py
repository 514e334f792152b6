"""Parse text into values, with Ibis expressions that give equal results on DuckDB and on Spark.

DuckDB and Spark cast differently. For example, only DuckDB accepts ``1_000`` as a number, and only
Spark accepts ``12d``. DuckDB rounds to integers, and Spark truncates. Therefore each text is
matched against a pattern before it is cast. The patterns use only syntax that has the same meaning
in both dialects (RE2 and Java).
"""

import ibis
import ibis.expr.types as ir

WHITE = r"[ \t\n\r\x0B\f]"
"""ASCII whitespace. ``\\s`` includes the vertical tab in Java, but not in RE2."""

_NUMBER = (
    rf"^{WHITE}*[+-]?(?:\d{{1,99}}(?:\.\d{{0,99}})?|\.\d{{1,99}})"
    rf"(?:[eE](?:[+-]?\d{{1,2}}|-\d{{3}}))?{WHITE}*\z"
)
"""Numbers with so few digits are finite. All engines ignore surrounding whitespace in a cast."""
_TIME = (
    rf"^{WHITE}*"
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[Tt ] *([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d)(?:[.,](\d*))?)?"
    r" *(?:[Zz]|UTC|utc|([+-]\d\d)(?::?([0-5]\d))?)?)?"
    rf"{WHITE}*\z"
)
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _FRACTION, _HOURS_EAST, _MINUTES_EAST = range(1, 10)
"""Groups of ``_TIME``. DuckDB supports at most nine."""


def strip(text: ir.StringValue) -> ir.StringValue:
    """Return the text without surrounding whitespace. Ibis's ``strip`` removes letters on Spark."""
    # Searching is faster than replacing, and few texts have surrounding whitespace.
    around = text.re_search(rf"^{WHITE}|{WHITE}\z")
    return around.ifelse(text.re_replace(rf"^{WHITE}+|{WHITE}+\z", ""), text)


def parse_number(text: ir.StringValue) -> ir.FloatingValue:
    """Parse a number (float64). The result is null if the text is not a number."""
    return text.re_search(_NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")


def round_number(number: ir.FloatingValue) -> ir.IntegerValue:
    """Round to the nearest integer (int64). Halves are rounded up. Larger values are clipped."""
    return (number.clip(-9e18, 9e18) + 0.5).floor().cast("int64")


def parse_time(text: ir.StringValue) -> ir.IntegerValue:
    """Parse an ISO 8601 time into UTC milliseconds (int64).

    The result is null if the text is not a time. A time without an offset is in UTC. The time zone
    of the machine is ignored. Fractions of a millisecond are truncated.
    """

    def part(group: int) -> ir.StringValue:
        return text.re_extract(_TIME, group)

    def integer(group: int) -> ir.IntegerValue:
        return part(group).try_cast("int64").fill_null(0)

    day = (part(_YEAR) + "-" + part(_MONTH).lpad(2, "0") + "-" + part(_DAY).lpad(2, "0")).try_cast(
        "date"
    )
    seconds = integer(_HOUR) * 3600 + integer(_MINUTE) * 60 + integer(_SECOND)
    milliseconds = (part(_FRACTION) + "000").substr(0, 3).cast("int64")
    east = part(_HOURS_EAST).startswith("-").ifelse(-1, 1) * integer(_MINUTES_EAST)
    return (
        day.epoch_days().cast("int64") * 86_400_000
        + seconds * 1000
        + milliseconds
        - (integer(_HOURS_EAST) * 60 + east) * 60_000
    )
