"""Checks of values before they are stored, so that every database stores the same ones.

Messages contain no ids of users.
"""

import math
from typing import Any

from bazar.errors import InputError

MAX_ID_LENGTH = 512
"""Largest number of characters of an id. PostgreSQL cannot index long texts."""

MAX_TEXT_LENGTH = 10_000
"""Largest number of characters of another text, such as a title."""

_MAX_INT64 = 2**63 - 1


def check_id(name: str, value: Any) -> None:
    """Raise InputError if a value is not a text of 1 to 512 characters that can be stored."""
    check_text(name, value, MAX_ID_LENGTH)
    if not value:
        raise InputError(f"{name} must not be empty.")


def check_text(name: str, value: Any, max_length: int = MAX_TEXT_LENGTH) -> None:
    """Raise InputError if a value is not a text that can be stored."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, got {type(value).__name__}.")
    if len(value) > max_length:
        raise InputError(f"{name} must have at most {max_length} characters, got {len(value)}.")
    # PostgreSQL stores no NUL, and UTF-8 has no surrogates.
    if "\x00" in value or not _is_unicode(value):
        raise InputError(f"{name} contains a NUL character or half of a surrogate pair. Remove it.")


def check_time(name: str, value: Any) -> None:
    """Raise InputError if a value is not an integer from 0 to 2**63 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_INT64:
        raise InputError(
            f"{name} must be an integer, UTC milliseconds since 1970, got {value!r:.40}."
        )


def check_number(name: str, value: Any) -> None:
    """Raise InputError if a value is not a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A large integer has no float.
    if not is_number or abs(value) > 1e300 or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, got {value!r:.40}.")


def check_count(name: str, count: int, maximum: int) -> None:
    """Raise InputError if there are more rows than one call may store."""
    if count > maximum:
        raise InputError(f"One call stores at most {maximum} {name}, got {count}. Split them.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
