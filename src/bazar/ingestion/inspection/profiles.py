"""What the columns of a file contain, and whether this fits what their names promise."""

from dataclasses import dataclass

import pyarrow as pa

from bazar.ingestion.inspection.header_names import Role
from bazar.ingestion.readers.sql import quote_name

_TIME = (
    r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}"
    r"|\d{1,2}[-. ]\p{L}{3,9}[-., ]+\d{2,4}|(?:\p{L}{3,9}[,. ]+){1,2}\d{1,2},? +\d{4})\b"
)
_COMPACT_TIME = r"^\s*(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?\s*$"
_NUMBER = r"^\s*[+-]?(?:\d+|\d*\.\d+|\d+\.)(?:[eE][+-]?\d+)?\s*$"
_AMOUNT = r"^\s*\(?[^\d\s,.()-]{0,4}\s*[+-]?[^\d\s,.()-]{0,4}\s*\d[\d.,' ]*\s*[^\d\s,.()]{0,4}\)?\s*$"
_DECIMAL_COMMA = r"\d,\d{1,2}\D*$|\d,\d{4,}\D*$|\d\.\d{3},\d"
_DECIMAL_POINT = r"\d\.\d{1,2}\D*$|\d\.\d{4,}\D*$|\d,\d{3}\.\d"
_EMPTY = ("", "nan", "none", "null", "n/a", "na", "#n/a", "nat", "\\n", "-")
"""Texts, in lower case, that programs write for a missing value."""
_MAX_EPOCH = 4_102_444_800
"""2100-01-01 in seconds."""
_MIN_EPOCH = 788_918_400
"""1995-01-01 in seconds."""


@dataclass(frozen=True)
class Profile:
    """What a column contains. Shares are of the values that are not empty.

    Attributes:
        name: name of the column in the file.
        filled: share of the rows with a value.
        distinct: number of different values in the sample.
        values: number of values in the sample.
        times: share of values that look like a time.
        epochs: share of values that are numbers of the size of a time since 1970.
        serials: share of values that are numbers of the size of an Excel date.
        numbers: share of numbers.
        amounts: share of numbers that may have a currency or thousands separators.
        integers: share of integers.
        negatives: share of values that begin with a minus sign or are in parentheses.
        decimal_commas: share of values with a decimal comma.
        decimal_points: share of values with a decimal point.
        emails: share of e-mail addresses.
        currencies: share of ISO currency codes.
        letters: share of values with a letter.
        spaces: share of values with a space between words.
        mean_length: mean number of characters.
        highest: the highest number, or 0.
        top: the most frequent values.
        examples: two different values.
    """

    name: str
    filled: float
    distinct: int
    values: int
    times: float
    epochs: float
    serials: float
    numbers: float
    amounts: float
    integers: float
    negatives: float
    decimal_commas: float
    decimal_points: float
    emails: float
    currencies: float
    letters: float
    spaces: float
    mean_length: float
    highest: float
    top: list[str]
    examples: list[str]

    @property
    def is_time(self) -> bool:
        """Whether nearly all values are written as a time."""
        return self.times >= 0.9


def profile_columns(sample: pa.Table) -> dict[str, Profile]:
    """Describe the content of every column.

    Args:
        sample: the first rows of a file; all columns are text.

    Returns:
        A profile by column name, in the order of the file.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.register("sample", sample)
        return {name: _profile_column(connection, name) for name in sample.column_names}


def _profile_column(connection, name: str) -> Profile:  # type: ignore[no-untyped-def]
    empty = ", ".join(f"'{text}'" for text in _EMPTY)
    shares = {
        "times": f"regexp_matches(v, '{_TIME}') OR regexp_matches(v, '{_COMPACT_TIME}')",
        "epochs": " OR ".join(
            f"n BETWEEN {_MIN_EPOCH}e{power} AND {_MAX_EPOCH}e{power}" for power in (0, 3, 6, 9)
        ),
        "serials": "n BETWEEN 20000 AND 60000",
        "numbers": "n IS NOT NULL",
        "amounts": f"regexp_matches(v, '{_AMOUNT.replace(chr(39), chr(39) * 2)}')",
        "integers": "n = floor(n)",
        "negatives": "starts_with(v, '-') OR regexp_matches(v, '^\\(.*\\)$')",
        "decimal_commas": f"regexp_matches(v, '{_DECIMAL_COMMA}')",
        "decimal_points": f"regexp_matches(v, '{_DECIMAL_POINT}')",
        "emails": "regexp_matches(v, '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$')",
        "currencies": "regexp_matches(v, '^[A-Z]{3}$')",
        "letters": "regexp_matches(v, '\\p{L}')",
        "spaces": "contains(v, ' ')",
    }
    selected = ", ".join(
        f"coalesce(avg(coalesce({condition}, false)::INT), 0) AS {key}"
        for key, condition in shares.items()
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE column_values AS
        SELECT v, try_cast(CASE WHEN regexp_matches(v, '{_NUMBER}') THEN v END AS DOUBLE) AS n,
            occurrences
        FROM (
            SELECT trim(CAST({quote_name(name)} AS VARCHAR)) AS v, count(*) AS occurrences
            FROM sample GROUP BY 1
        )
        WHERE v IS NOT NULL AND lower(v) NOT IN ({empty})
    """)
    # Shares of different values decide what kind of value a column has. The frequent ones would
    # hide the others.
    *numbers, distinct, values, mean_length, highest = connection.execute(f"""
        SELECT {selected}, count(*), coalesce(sum(occurrences), 0)::BIGINT,
            coalesce(avg(length(v)), 0), coalesce(max(n), 0)
        FROM column_values
    """).fetchone()
    ordered = "SELECT v FROM column_values ORDER BY occurrences DESC, v LIMIT 30"
    top = [row[0] for row in connection.execute(ordered).fetchall()]
    rows = connection.execute("SELECT count(*) FROM sample").fetchone()[0]
    return Profile(
        name=name,
        filled=values / rows if rows else 0.0,
        distinct=distinct,
        values=values,
        **dict(zip(shares, numbers, strict=True)),
        mean_length=mean_length,
        highest=highest,
        top=top,
        examples=top[:2],
    )


def find_contradiction(role: Role, profile: Profile) -> str | None:
    """Return why a column cannot have a role, or None if its content fits."""
    if profile.values == 0:
        return "it is empty"
    check = _CHECKS.get(role)
    return check(profile) if check else None


def _check_id(profile: Profile) -> str | None:
    if profile.is_time:
        return "it contains times"
    if profile.distinct == 1 and profile.values > 20:
        return f"all its values are {profile.top[0]!r}"
    if profile.numbers > 0.9 and profile.integers < 0.9:
        return "it contains numbers with decimals"
    return "it contains long texts" if profile.mean_length > 80 else None


def _check_item_id(profile: Profile) -> str | None:
    if profile.emails > 0.5:
        return "it contains e-mail addresses"
    return _check_id(profile)


def _check_order_id(profile: Profile) -> str | None:
    if profile.numbers > 0.9 and profile.distinct < 12 and profile.values > 100:
        return "it has few values"
    return _check_item_id(profile)


def _check_timestamp(profile: Profile) -> str | None:
    found = max(profile.times, profile.epochs, profile.serials)
    return None if found >= 0.8 else "its values are not times"


def _check_quantity(profile: Profile) -> str | None:
    if profile.amounts < 0.95:
        return "its values are not numbers"
    if profile.highest > 1e7:
        return f"its values are too large, such as {profile.highest:.0f}"
    return None


def _check_price(profile: Profile) -> str | None:
    if profile.is_time:
        return "it contains times"
    return None if profile.amounts >= 0.95 else "its values are not amounts"


def _check_currency(profile: Profile) -> str | None:
    is_code = profile.currencies >= 0.9 or profile.mean_length <= 1
    return None if is_code else "its values are not currency codes"


def _check_few_texts(profile: Profile) -> str | None:
    if profile.distinct > 60:
        return f"it has {profile.distinct:,} different values"
    if profile.numbers > 0.5 or profile.is_time:
        return "its values are not words"
    return None


def _check_title(profile: Profile) -> str | None:
    if profile.letters < 0.6 or profile.is_time:
        return "its values are not texts"
    if profile.emails > 0.5:
        return "it contains e-mail addresses"
    if profile.distinct == 1 and profile.values > 20:
        return f"all its values are {profile.top[0]!r}"
    if profile.mean_length > 300:
        return "its texts are too long for titles"
    if profile.mean_length < 8 and profile.spaces < 0.2:
        return "its values are codes or single words"
    return None


def _check_text(profile: Profile) -> str | None:
    if profile.letters < 0.5 or profile.is_time:
        return "its values are not texts"
    return "its texts are too long" if profile.mean_length > 200 else None


def _check_rating(profile: Profile) -> str | None:
    return None if profile.numbers >= 0.95 and profile.highest <= 100 else "it has no ratings"


def _check_position(profile: Profile) -> str | None:
    return None if profile.integers >= 0.95 else "its values are not integers"


_CHECKS = {
    "user_id": _check_id,
    "item_id": _check_item_id,
    "order_id": _check_order_id,
    "timestamp": _check_timestamp,
    "position": _check_position,
    "rating": _check_rating,
    "quantity": _check_quantity,
    "price": _check_price,
    "currency": _check_currency,
    "status": _check_few_texts,
    "event_type": _check_few_texts,
    "title": _check_title,
    "brand": _check_text,
    "category": _check_text,
}
