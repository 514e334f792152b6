"""What a product is beside its title, such as brand and categories, as one text."""

import ast
import json
from collections.abc import Iterator
from typing import Any

import ibis
import pyarrow as pa

from bazar.ingestion.titles import LONGEST, clean_title

_NONE = "unknown"
"""What sources write where they do not know."""


def join_attribute_texts(raw: str | None) -> str | None:
    """Put the attributes of a product together.

    Args:
        raw: a text, or a list of texts, nested or not, as JSON or Python write one.

    Returns:
        The texts, cleaned as titles are, each once, joined by ``", "``; None where none is left.
        Empty ones and ``Unknown`` are left out, and what is neither text nor number. 1,000 letters
        are kept.
    """
    if raw is None:
        return None
    cleaned = dict.fromkeys(clean_title(text) for text in _texts(raw))
    joined = ", ".join(text for text in cleaned if text and text.casefold() != _NONE)
    # A lone surrogate can be written as an escape within a list, and is no letter of UTF-8.
    return joined[:LONGEST].rstrip().encode("utf-8", "replace").decode() or None


@ibis.udf.scalar.pyarrow
def join_attributes(raw: str) -> str:
    """Join attributes on any backend; see :func:`join_attribute_texts`. Empty stands for None."""
    return _each_once(raw)


def _each_once(raw):  # type: ignore[no-untyped-def]
    """Join what is distinct: many products have the same attributes."""
    if not isinstance(raw, pa.Array | pa.ChunkedArray):
        # Spark gives them one by one, and NaN for none.
        return join_attribute_texts(raw if isinstance(raw, str) else None) or ""
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    distinct = raw.dictionary_encode()
    # DuckDB takes no null from a function.
    joined = [join_attribute_texts(text) or "" for text in distinct.dictionary.to_pylist()]
    return pa.array(joined, raw.type).take(distinct.indices).fill_null("")


def _texts(raw: str) -> Iterator[str]:
    """The texts of a list, in order; a text that is no list stands for itself."""
    left: list[Any] = [raw]
    while left:
        value = left.pop()
        if isinstance(value, str):
            value = _read(value)
        if isinstance(value, list | tuple):
            left.extend(reversed(value))
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)


def _read(text: str) -> Any:
    """The list or the object that is written, or the text itself."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in {"[]", "{}"}:
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            return read(stripped)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text
