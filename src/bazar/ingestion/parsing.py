"""Parse text into values, with Ibis expressions that give equal results on DuckDB and on Spark.

DuckDB and Spark cast differently. For example, only DuckDB accepts ``1_000`` as a number, and only
Spark accepts ``12d``. DuckDB rounds to integers, and Spark truncates. Therefore each text is
matched against a pattern before it is cast. The patterns use only syntax that has the same meaning
in both dialects (RE2 and Java).
"""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

WHITE = r"[ \t\n\r\x0B\f]"
"""ASCII whitespace. ``\\s`` includes the vertical tab in Java, but not in RE2."""

NUMBER = (
    rf"^{WHITE}*[+-]?(?:\d{{1,99}}(?:\.\d{{0,99}})?|\.\d{{1,99}})"
    rf"(?:[eE](?:[+-]?\d{{1,2}}|-\d{{3}}))?{WHITE}*\z"
)
"""Numbers with so few digits are finite. All engines ignore surrounding whitespace in a cast."""
_AROUND_AMOUNT = rf"^(?:{WHITE}|[A-Za-z$€£¥₹]|\x{{A0}})+|(?:{WHITE}|[A-Za-z$€£¥₹%]|\x{{A0}})+\z"
"""A currency sign or code before or after an amount."""
_NEGATIVE = (
    rf"^(?:\([^()+-]*\)|-(?:{WHITE}|[A-Za-z$€£¥₹]|\x{{A0}})+[0-9.,][^()+-]*|[^()+-]*[0-9]-)\z"
)
"""Amounts that are negative, such as ``(4.00)``, ``-$4.00`` and ``4.00-``."""
MISSING_AMOUNT = r"^(?i:nan|none|null|<na>|\\n|#?n/?a|-)\z"
"""Texts that programs write for a missing amount."""
_GROUPED = {
    ".": r"^[+-]?[0-9]{1,3}(?:[, \x{A0}\x{202F}'][0-9]{3})+(?:\.[0-9]*)?\z",
    ",": r"^[+-]?[0-9]{1,3}(?:[. \x{A0}\x{202F}'][0-9]{3})+(?:,[0-9]*)?\z",
}
"""Numbers with thousands separators, by decimal sign."""


def strip(text: ir.StringValue) -> ir.StringValue:
    """Return the text without surrounding whitespace. Ibis's ``strip`` removes letters on Spark."""
    # Searching is faster than replacing, and few texts have surrounding whitespace.
    around = text.re_search(rf"^{WHITE}|{WHITE}\z")
    return around.ifelse(text.re_replace(rf"^{WHITE}+|{WHITE}+\z", ""), text)


def strip_text(text: ir.StringValue) -> ir.StringValue:
    """Return the text without surrounding whitespace, or null if it is blank."""
    return strip(text).nullif("")


def parse_number(text: ir.StringValue) -> ir.FloatingValue:
    """Parse a number (float64). The result is null if the text is not a number."""
    return text.re_search(NUMBER).ifelse(text, ibis.null("string")).try_cast("float64")


def parse_amount(text: ir.StringValue, decimal: str) -> ir.FloatingValue:
    """Parse a quantity or a price, possibly with thousands separators and a currency.

    Args:
        text: such as ``1,234.50``, ``$12``, ``EUR 12.00``, ``(4.00)`` for -4, or ``1.234,50 €``
            with ``decimal=","``.
        decimal: the decimal sign, ``.`` or ``,``.

    Returns:
        The number (float64), or null if the text is not a number.
    """
    amount = text.re_replace(_AROUND_AMOUNT, "")
    is_negative = amount.re_search(_NEGATIVE)
    unsigned = amount.re_replace("[()-]", "").re_replace(_AROUND_AMOUNT, "")
    amount = is_negative.ifelse(unsigned, amount)
    separators = r"[., \x{A0}\x{202F}']".replace(decimal, "")
    grouped = amount.re_search(_GROUPED[decimal])
    plain = grouped.ifelse(amount.re_replace(separators, ""), amount)
    if decimal == ",":
        # A number without a comma may have been written by a program, with a point.
        plain = plain.re_replace(",", ".")
    number = parse_number(plain)
    return is_negative.ifelse(-number, number)


def round_number(number: ir.FloatingValue) -> ir.IntegerValue:
    """Round to the nearest integer (int64). Halves are rounded up. Larger values are clipped."""
    return (number.clip(-9e18, 9e18) + 0.5).floor().cast("int64")


def bind(value: ir.Value, function: Callable[..., ir.Value]) -> ir.Value:
    """Return ``function(value)``, where the engine computes the value only once.

    Otherwise it computes the value again at each use, for example in every branch of a case
    expression.

    Args:
        value: the value.
        function: makes an expression of it. Its parameter needs another name than the parameters
            of functions that are bound within it.
    """
    # SQL has no variables, but a list of one value can be mapped.
    return ibis.array([value]).map(function)[0]
