"""Text to values, as Ibis expressions that give the same on DuckDB and on Spark.

A cast is the engine's own: DuckDB takes ``1_000`` for a number and Spark ``12d``, DuckDB rounds
to whole numbers and Spark cuts. So what is cast is first held against a pattern, and patterns
keep to what both dialects (RE2 and Java) read alike.
"""

import ibis
import ibis.expr.types as ir

WHITE = r"[ \t\n\r\x0B\f]"
"""White space of ASCII. ``\\s`` leaves out the vertical tab in RE2, and has it in Java."""

_NUMBER = (
    rf"^{WHITE}*[+-]?(?:\d{{1,99}}(?:\.\d{{0,99}})?|\.\d{{1,99}})"
    rf"(?:[eE](?:[+-]?\d{{1,2}}|-\d{{3}}))?{WHITE}*\z"
)
"""With so few digits a number is finite. A cast ignores white space around it on every engine."""
_TIME = (
    rf"^{WHITE}*"
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[Tt ] *([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d)(?:[.,](\d*))?)?"
    r" *(?:[Zz]|UTC|utc|([+-]\d\d)(?::?([0-5]\d))?)?)?"
    rf"{WHITE}*\z"
)
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _FRACTION, _HOURS_EAST, _MINUTES_EAST = range(1, 10)
"""Groups of ``_TIME``; DuckDB reads no more than nine."""


def strip(text: ir.StringValue) -> ir.StringValue:
    """Text without white space around it. Ibis's own ``strip`` takes letters off on Spark."""
    # To search is quicker than to replace, and there is seldom anything to strip.
    around = text.re_search(rf"^{WHITE}|{WHITE}\z")
    return around.ifelse(text.re_replace(rf"^{WHITE}+|{WHITE}+\z", ""), text)


def parse_number(text: ir.StringValue) -> ir.FloatingValue:
    """A number (float64), null where the text is not one."""
    return text.re_search(_NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")


def round_number(number: ir.FloatingValue) -> ir.IntegerValue:
    """The nearest whole number (int64), halves up; one beyond 64 bits is cut."""
    return (number.clip(-9e18, 9e18) + 0.5).baseline().cast("int64")


def parse_time(text: ir.StringValue) -> ir.IntegerValue:
    """UTC milliseconds (int64) of an ISO 8601 time, null where the text is not one.

    A time that does not say its offset from UTC is in UTC, whatever the machine's time zone.
    Digits of a second after the third are cut.
    """

    def part(group: int) -> ir.StringValue:
        return text.re_extract(_TIME, group)

    def whole(group: int) -> ir.IntegerValue:
        return part(group).try_cast("int64").fill_null(0)

    day = (part(_YEAR) + "-" + part(_MONTH).lpad(2, "0") + "-" + part(_DAY).lpad(2, "0")).try_cast(
        "date"
    )
    seconds = whole(_HOUR) * 3600 + whole(_MINUTE) * 60 + whole(_SECOND)
    milliseconds = (part(_FRACTION) + "000").substr(0, 3).cast("int64")
    east = part(_HOURS_EAST).startswith("-").ifelse(-1, 1) * whole(_MINUTES_EAST)
    return (
        day.epoch_days().cast("int64") * 86_400_000
        + seconds * 1000
        + milliseconds
        - (whole(_HOURS_EAST) * 60 + east) * 60_000
    )
