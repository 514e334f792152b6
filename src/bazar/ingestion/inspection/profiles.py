"""Describe the content of columns, and check whether it fits the roles of their names."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bazar.config.times import EARLIEST_MS
from bazar.ingestion.inspection.header_names import Role

_NUMBER = re.compile(r"[+-]?(?:\d+|\d*\.\d+|\d+\.)(?:[eE][+-]?\d+)?", re.ASCII)
_SIGN = r"[^\d\s,.()-]{0,4}"
"""A currency before or after an amount."""
_PATTERNS = {
    "times": re.compile(
        r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}"
        r"|\d{1,2}[-. ][^\W\d_]{3,9}[-., ]+\d{2,4}|(?:[^\W\d_]{3,9}[,. ]+){1,2}\d{1,2},? +\d{4}"
        r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?)(?![^\W_T]|\d)"
    ),
    "amounts": re.compile(rf"\(?{_SIGN} ?[+-]?{_SIGN} ?\d[\d.,' \xa0\u202f]*{_SIGN}\)?$"),
    "decimal_commas": re.compile(r".*(?:\d,\d{1,2}\D*$|\d,\d{4,}\D*$|\d\.\d{3},\d)"),
    "decimal_points": re.compile(r".*(?:\d\.\d{1,2}\D*$|\d\.\d{4,}\D*$|\d,\d{3}\.\d)"),
    "emails": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+$"),
    "currencies": re.compile(r"[A-Z]{3}$"),
    "letters": re.compile(r".*[^\W\d_]"),
    "spaces": re.compile(r".*\S\s+\S"),
}
"""Patterns that a text begins with, by the share that counts them."""
_EMPTY = ("", "nan", "none", "null", "n/a", "na", "#n/a", "nat", "\\n", "-")
"""Texts, in lower case, that programs write for a missing value."""
_TOP = 30
_MAX_DISTINCT = 5000
_LARGE = 1e7
_MAX_EPOCH = 4_102_444_800
"""2100-01-01 in seconds."""
_MIN_EPOCH = EARLIEST_MS // 1000


@dataclass(frozen=True)
class Profile:
    """The content of a column. Shares are of the values that are not empty.

    Attributes:
        name: name of the column in the file.
        filled: share of the rows with a value.
        distinct: number of different values in the sample.
        values: number of values in the sample.
        times: share of values that look like a time.
        epochs: share of values that are numbers of the size of a time since 1970.
        serials: share of values that are numbers of the size of an Excel date.
        numbers: share of numbers.
        amounts: share of the rows with a number that may have a currency or thousands separators.
        integers: share of integers.
        decimal_commas: share of values with a decimal comma.
        decimal_points: share of values with a decimal point.
        emails: share of e-mail addresses.
        currencies: share of ISO currency codes.
        letters: share of values with a letter.
        spaces: share of values with a space between words.
        mean_length: mean number of characters.
        highest: the highest number, or 0.
        large: share of numbers above 10 million.
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
    decimal_commas: float
    decimal_points: float
    emails: float
    currencies: float
    letters: float
    spaces: float
    mean_length: float
    highest: float
    large: float
    top: list[str]
    examples: list[str]

    @property
    def is_time(self) -> bool:
        """Whether nearly all values are written as a time."""
        return self.times >= 0.9


def profile_columns(
    sample: list[dict[str, str | None]], names: Iterable[str]
) -> dict[str, Profile]:
    """Describe the content of columns.

    Args:
        sample: the first rows of a file as text.
        names: the columns that are described.

    Returns:
        A profile by column name, in the order of the names.
    """
    return {name: profile_texts(name, (row[name] for row in sample)) for name in names}


def profile_texts(name: str, texts: Iterable[str | None]) -> Profile:
    """Describe the content of a column; see :func:`profile_columns`."""
    counts = Counter("" if text is None else text.strip() for text in texts)
    # Files that were joined with cat repeat the header.
    del counts[name.strip()]
    n_rows = counts.total()
    for text in [text for text in counts if text.lower() in _EMPTY]:
        del counts[text]
    # Shares of different values decide what kind of value a column has. The frequent ones would
    # hide the others.
    distinct = list(counts)[:_MAX_DISTINCT]
    total = max(len(distinct), 1)
    shares = {
        share: sum(pattern.match(text) is not None for text in distinct) / total
        for share, pattern in _PATTERNS.items()
    }
    # Rows with other values than amounts will be rejected.
    is_amount = _PATTERNS["amounts"].match
    n_amounts = sum(counts[text] for text in distinct if is_amount(text))
    shares["amounts"] = n_amounts / max(sum(counts[text] for text in distinct), 1)
    numbers = [float(text) for text in distinct if _NUMBER.fullmatch(text)]
    top = sorted(counts, key=lambda text: (-counts[text], text))[:_TOP]
    return Profile(
        name=name,
        filled=counts.total() / max(n_rows, 1),
        distinct=len(counts),
        values=counts.total(),
        epochs=sum(map(_is_epoch, numbers)) / total,
        serials=sum(20_000 <= number <= 60_000 for number in numbers) / total,
        numbers=len(numbers) / total,
        integers=sum(number.is_integer() for number in numbers) / total,
        mean_length=sum(map(len, distinct)) / total,
        highest=max(numbers, default=0.0),
        large=sum(number > _LARGE for number in numbers) / total,
        top=top,
        examples=top[:2],
        **shares,
    )


def _is_epoch(number: float) -> bool:
    """Return whether a number is a time since 1970 in seconds or smaller units."""
    return any(_MIN_EPOCH * 10**power <= number <= _MAX_EPOCH * 10**power for power in (0, 3, 6, 9))


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
    # Ids such as 1700000005.1704000000 consist of two numbers.
    is_decimal = profile.numbers > 0.9 and profile.integers < 0.9 and profile.mean_length < 15
    if is_decimal:
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
    return None if found >= 0.8 else f"its values, such as {profile.top[0]!r}, are not times"


def _check_quantity(profile: Profile) -> str | None:
    if profile.amounts < 0.95:
        return "its values are not numbers"
    # A few may be typing errors.
    if profile.large > 0.5:
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
