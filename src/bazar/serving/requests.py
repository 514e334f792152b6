"""Checks of what callers pass to a Recommender, and the search for ids in another form."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bazar.errors import InputError

_MAX_SHOWN = 5


def check_k(k: Any) -> None:
    """Raise InputError if the number of products is not an integer of at least 1."""
    if not hasattr(k, "__index__") or k < 1:
        raise InputError(f"k must be an integer of at least 1, got {k!r}.")


def check_history(history: Any) -> list[str]:
    """Return a history as a list of texts.

    Raises:
        InputError: if it is a text or another single value, or an id is not a text.
    """
    item_ids = _check_list(history, "history must be a list of item ids")
    for item_id in item_ids:
        if not isinstance(item_id, str):
            raise InputError(
                f"Item ids must be texts, got {item_id!r} ({type(item_id).__name__}). "
                + _advise_text(item_id)
            )
    return item_ids


def check_user_id(user_id: Any) -> None:
    """Raise InputError if the id of a customer is not a text."""
    if not isinstance(user_id, str):
        raise InputError(f"user_id must be a text, got {user_id!r}. {_advise_text(user_id)}")


def check_categories(categories: Any) -> list[str]:
    """Return the names of categories as a list.

    Raises:
        InputError: if they are a text or another single value.
    """
    return _check_list(categories, "categories must be a list of names")


def split_known_items(
    item_ids: list[str], catalogue: Collection[str]
) -> tuple[list[str], list[str]]:
    """Split a history into the items of the catalogue and the unknown ones.

    Raises:
        InputError: if there are items, but all are unknown.
    """
    known = [item_id for item_id in item_ids if item_id in catalogue]
    unknown = [item_id for item_id in item_ids if item_id not in catalogue]
    if unknown and not known:
        raise InputError(f"None of these items is in the catalogue: {shorten_ids(unknown)}.")
    return known, unknown


def to_milliseconds(time: datetime) -> int:
    """Convert a time to UTC milliseconds. A time without an offset is in UTC.

    Raises:
        InputError: if it is not a datetime.
    """
    # NaT of pandas is a datetime, but it has no time.
    if not isinstance(time, datetime) or str(time) == "NaT":
        raise InputError(f"A time must be a datetime, found {time!r}.{_advise_time(time)}")
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def check_times(
    times: Sequence[datetime] | None, at: datetime | None, n_items: int
) -> np.ndarray | None:
    """Return the times of a history and of the request, or raise InputError if they do not fit.

    Args:
        times: time of each purchase; None if no time is known.
        at: time of the request; None for now.
        n_items: number of items of the history.

    Returns:
        Shape (n_items + 1,), int64, UTC milliseconds, ascending: the times of the purchases and of
        the request. None without ``times``.

    Raises:
        InputError: if the number of times differs, a time is earlier than the one before it, or
            ``at`` is given without the ``times`` of the purchases.
    """
    if times is None:
        if at is not None and n_items > 0:
            raise InputError("at needs the times of the purchases: set times as well.")
        return None
    times = _check_list(times, "times must be a list of datetimes")
    if len(times) != n_items:
        raise InputError(
            f"times must contain one time for each item of the history, found {len(times)} for "
            f"{n_items} items."
        )
    request = datetime.now(UTC) if at is None else at
    milliseconds = np.array([to_milliseconds(time) for time in (*times, request)], np.int64)
    if (np.diff(milliseconds) < 0).any():
        raise InputError(
            "times must be in the order of the purchases, and not later than the request (at)."
        )
    return milliseconds


class KnownIds:
    """The ids of the products or of the customers, to find an id that is written differently.

    Two texts are forms of one id if they differ only in surrounding whitespace, in upper and lower
    case, in the Unicode form of their letters, or in ``.0`` behind a whole number, as do ``17850``
    and ``17850.0``.
    """

    def __init__(self, ids: pa.Array) -> None:
        """Store the ids.

        Args:
            ids: large strings, each once.
        """
        self._ids = ids

    def find_forms(self, wanted: str) -> list[str]:
        """Return the ids that are another form of an id.

        Args:
            wanted: the id as it was written.
        """
        return [found for found in self._select(_unify, self._unified, wanted) if found != wanted]

    def suggest(self, wanted: Iterable[str], compare_letters: bool = True) -> str:
        """Return a hint with ids that are close to unknown ones, or an empty text.

        These are other forms of an id, numbers with other leading zeros, or else the most similar
        id.

        Args:
            wanted: the unknown ids.
            compare_letters: whether to search for similar ids. A long list takes seconds.
        """
        close: dict[str, None] = {}
        for one in list(wanted)[:_MAX_SHOWN]:
            found = self.find_forms(one) or self._select(_drop_zeros, self._without_zeros, one)
            if not found and compare_letters:
                found = get_close_matches(one, self._texts, n=1)
            close |= dict.fromkeys(found[:_MAX_SHOWN])
        return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""

    def _select(self, change: Any, changed_ids: pa.Array, wanted: str) -> list[str]:
        """Return the ids that are equal to an id if both are changed in the same way."""
        try:
            changed = change(pa.array([wanted], pa.large_string()))[0]
        except UnicodeEncodeError:
            # Bytes of a command line that are not valid text.
            return []
        selected: list[str] = self._ids.filter(pc.equal(changed_ids, changed)).to_pylist()
        return selected

    @cached_property
    def _texts(self) -> list[str]:
        texts: list[str] = self._ids.to_pylist()
        return texts

    @cached_property
    def _unified(self) -> pa.Array:
        return _unify(self._ids)

    @cached_property
    def _without_zeros(self) -> pa.Array:
        return _drop_zeros(self._ids)


def read_item_ids(text: str, catalogue: Collection[str], known: KnownIds) -> list[str]:
    """Return the product ids in a text with commas between them.

    Ids may contain commas. At each position, the longest part that is a product is one id: a part
    that is written exactly so if there is one, else a part that is another form of an id.

    Args:
        text: such as ``ID,ID``.
        catalogue: the ids of all products.
        known: the same ids.

    Returns:
        The ids as they are written, without surrounding whitespace.
    """
    parts, found = text.split(","), []
    start = 0
    while start < len(parts):
        joined = list(_join_parts(parts[start:]))
        exact = [(n, part) for n, part in joined if part in catalogue]
        n_parts, item_id = (exact or [pair for pair in joined if known.find_forms(pair[1])]
                            or joined[-1:])[0]  # fmt: skip
        found.append(item_id)
        start += n_parts
    return [item_id for item_id in found if item_id]


def shorten_ids(ids: list[str]) -> str:
    """Return the first ids in quotation marks, for a message."""
    shown = ", ".join(map(repr, ids[:_MAX_SHOWN]))
    return shown + (f" and {len(ids) - _MAX_SHOWN} more" if len(ids) > _MAX_SHOWN else "")


def _join_parts(parts: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the number of parts and the parts with commas between them, the longest first."""
    for stop in range(len(parts), 0, -1):
        yield stop, ",".join(parts[:stop]).strip()


def _unify(ids: pa.Array) -> pa.Array:
    """Return one text for all forms of an id."""
    lower = pc.utf8_lower(pc.utf8_normalize(pc.utf8_trim_whitespace(ids), "NFC"))
    return pc.replace_substring_regex(lower, r"^([+-]?[0-9]+)\.0+$", r"\1")


def _drop_zeros(ids: pa.Array) -> pa.Array:
    """Return unified ids; numbers are without their leading zeros."""
    return pc.replace_substring_regex(_unify(ids), r"^0+([0-9]+)$", r"\1")


def _advise_text(value: Any) -> str:
    """Return what to pass instead of an id that is not a text."""
    if isinstance(value, int) or hasattr(value, "__index__"):
        return f"Use {str(value)!r}, with any leading zeros."
    return "Use the text of the id, with any leading zeros, and leave out missing values."


def _advise_time(value: Any) -> str:
    """Return what to pass instead of a time that is not a datetime."""
    if isinstance(value, datetime) or value is None:
        return " Leave out purchases without a time."
    if isinstance(value, str | date | np.datetime64):
        return f" Use pandas.Timestamp({str(value)!r})."
    return ""


def _check_list(values: Any, problem: str) -> list[Any]:
    if isinstance(values, str | bytes):
        raise InputError(f"{problem}, got the text {values!r}. Use [{values!r}].")
    if not isinstance(values, Iterable):
        raise InputError(f"{problem}, got {values!r}.")
    return list(values)
