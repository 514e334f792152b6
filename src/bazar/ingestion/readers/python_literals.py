"""Read lines of Python literals, such as ``{'asin': '0205616461'}``, without executing them."""

import ast
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import Lines
from bazar.ingestion.readers.raw_file import EXAMPLE_LENGTH, RawFile, build_records_schema
from bazar.ingestion.readers.sql import store_records

if TYPE_CHECKING:
    import duckdb

    from bazar.ingestion.readers.shape import FileShape

_LINES_WITH_KEYS = 10_000
"""Number of first lines whose keys are the columns of the file."""


def list_literal_keys(path: Path, text: str, prefix: str) -> list[str]:
    """Return the keys of the first dictionaries.

    Args:
        path: the file, for messages.
        text: its first characters.
        prefix: prefix of the source's keys in messages, such as ``products.shop.``.

    Raises:
        InputError: if no line is a dictionary.
    """
    lines = [line for line in text.split("\n")[:_LINES_WITH_KEYS] if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty: it has no record. Export or download it again.")
    keys: dict[str, None] = {}
    for line in lines:
        keys.update((str(key), None) for key in _parse_line(line)[0])
    if not keys:
        raise InputError(
            f"{path}: no line is a Python dictionary. The first line is\n  {lines[0][:80]}\n"
            f"Is the format python? Check {prefix}format in globals.yml."
        )
    return list(keys)


def select_python_lines(
    file: RawFile,
    shape: "FileShape",
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    Python parses the file line by line into a temporary table.
    """
    names = {
        column: [shape.columns[position] for position in found]
        for column, found in positions.items()
    }
    schema = build_records_schema(names)
    limits = file.max_rows, file.max_bytes, shape.encoding or "utf-8"
    lines = Lines(file.path, file.name, *limits)
    reader = pa.RecordBatchReader.from_batches(schema, _parse_batches(file, lines, names, schema))
    connection.register("python_rows", reader)
    sql = store_records(file, connection, shape.version, "SELECT * FROM python_rows")
    connection.unregister("python_rows")
    return sql


def _parse_batches(
    file: RawFile, lines: Lines, names: dict[str, list[str]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in lines.batches():
        rows = [
            _make_row(file.name, row, names) for row in batch.to_pylist() if row["line"].strip()
        ]
        yield pa.RecordBatch.from_pylist(rows, schema)


def _parse_line(line: str) -> tuple[dict[Any, Any], str | None]:
    """Return the dictionary of a line, or an empty one and the problem."""
    try:
        value = ast.literal_eval(line.strip().lstrip("\ufeff"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}, "broken Python literal"
    return (value, None) if isinstance(value, dict) else ({}, "not a Python dictionary")


def _make_row(file: str, row: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    line, problem = row["line"], row["encoding_problem"]
    record: dict[Any, Any] = {}
    if problem is None:
        record, problem = _parse_line(line)
    return {
        "source_file": file,
        "row_number": row["row_number"],
        "raw": line.rstrip("\r\n")[:EXAMPLE_LENGTH],
        "problem": problem,
        **{
            column: _combine_texts([record.get(name) for name in found])
            for column, found in names.items()
        },
    }


def _combine_texts(values: Sequence[Any]) -> str | None:
    """Return the values as one text: a JSON list if there are several, None if there is none."""
    texts = [_format_text(value) for value in values]
    return json.dumps(texts) if len(texts) > 1 else next(iter(texts), None)


def _format_text(value: Any) -> str | None:
    """Return the text of a value: whole numbers without .0, NaN as None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # A Python string may contain lone surrogates, which UTF-8 cannot encode.
    return str(value).encode("utf-8", "replace").decode()
