"""Checks of what callers pass to a Recommender."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from bazar.errors import InputError


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
                f"Use {str(item_id)!r}, with any leading zeros."
            )
    return item_ids


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
        raise InputError(describe_unknown_items(unknown))
    return known, unknown


def describe_unknown_items(unknown: list[str], catalogue: Iterable[str] = ()) -> str:
    """Return an error message for a history without any known item.

    Args:
        unknown: the unknown ids.
        catalogue: ids to suggest close ones from; a long list takes time to compare.
    """
    shown = ", ".join(repr(item_id) for item_id in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    return f"None of these items is in the catalogue: {shown}{more}." + suggest_items(
        unknown[:5], catalogue
    )


def suggest_items(unknown: list[str], catalogue: Iterable[str]) -> str:
    """Return a hint with ids that are close to unknown ones, or an empty text."""
    item_ids = list(catalogue)
    close = [match for item_id in unknown for match in get_close_matches(item_id, item_ids, n=1)]
    return f" Did you mean {', '.join(map(repr, dict.fromkeys(close)))}?" if close else ""


def _check_list(values: Any, problem: str) -> list[Any]:
    if isinstance(values, str | bytes):
        raise InputError(f"{problem}, got the text {values!r}. Use [{values!r}].")
    if not isinstance(values, Iterable):
        raise InputError(f"{problem}, got {values!r}.")
    return list(values)
