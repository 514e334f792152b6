"""Combine the attributes of a product, such as brand and categories, into one text."""

import ast
import json
from collections.abc import Iterator
from typing import Any

import ibis
import pyarrow as pa

from bazar.ingestion.titles import MAX_TITLE_LENGTH, clean_title

_UNKNOWN = "unknown"
"""Text that sources use for a missing attribute."""


def join_attribute_texts(raw: str | None) -> str | None:
    """Return the attributes of a product as one text.

    Args:
        raw: a text, or a list of texts, nested or not, in JSON or Python notation.

    Returns:
        The distinct texts, cleaned like titles and joined by ``", "``, or None if there is none.
        Empty texts, ``Unknown``, and values that are neither text nor number are left out. The
        first 1,000 characters are kept.
    """
    if raw is None:
        return None
    cleaned = dict.fromkeys(clean_title(text) for text in _list_texts(raw))
    joined = ", ".join(text for text in cleaned if text and text.casefold() != _UNKNOWN)
    # An escape within a list may be a lone surrogate, which UTF-8 cannot encode.
    return joined[:MAX_TITLE_LENGTH].rstrip().encode("utf-8", "replace").decode() or None


@ibis.udf.scalar.pyarrow
def join_attributes(raw: str) -> str:
    """Join attributes on any backend; see :func:`join_attribute_texts`. Null becomes ``""``."""
    return _join_distinct(raw)


def _join_distinct(raw):  # type: ignore[no-untyped-def]
    """Return the joined attributes. Each distinct value is joined once, because many repeat."""
    if not isinstance(raw, pa.Array | pa.ChunkedArray):
        # Spark passes one text at a time, and NaN for null.
        return join_attribute_texts(raw if isinstance(raw, str) else None) or ""
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    distinct = raw.dictionary_encode()
    # A function must not return null to DuckDB.
    joined = [join_attribute_texts(text) or "" for text in distinct.dictionary.to_pylist()]
    return pa.array(joined, raw.type).take(distinct.indices).fill_null("")


def _list_texts(raw: str) -> Iterator[str]:
    """Yield the texts of a list in order, or the text itself if it is not a list."""
    stack: list[Any] = [raw]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            value = _parse_literal(value)
        if isinstance(value, list | tuple):
            stack.extend(reversed(value))
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)


def _parse_literal(text: str) -> Any:
    """Return the list or the object that a text represents, or the text itself."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in {"[]", "{}"}:
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(stripped)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text
