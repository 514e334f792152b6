"""Read lines of Python literals, such as ``{'asin': '0205616461'}``, without executing them."""

import ast
import gzip
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import is_gzip
from bazar.ingestion.readers.raw_file import (
    EXAMPLE_LENGTH,
    RawFile,
    build_records_schema,
    check_columns,
)
from bazar.ingestion.readers.sql import name_table

if TYPE_CHECKING:
    import duckdb

_LINES_PER_BATCH = 10_000


def select_python_lines(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    Python parses the file line by line into a temporary table.
    """
    table = name_table("python_lines", file.path)
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    insert = f"CREATE TEMP TABLE {table} AS"
    for batch in _read_batches(file):
        connection.register("python_batch", pa.Table.from_batches([batch]))
        connection.execute(f"{insert} SELECT * FROM python_batch")
        insert = f"INSERT INTO {table}"
    if insert.startswith("CREATE"):
        raise InputError(f"{file.path} is empty: it has no record")
    return f"SELECT * FROM {table}"


def _read_batches(file: RawFile) -> Iterator[pa.RecordBatch]:
    """Yield the parsed lines in batches.

    Raises:
        InputError: if no line of the first batch is a dictionary, or a mapped column is missing.
    """
    schema = build_records_schema(file.columns)
    open_file = gzip.open if is_gzip(file.path) else open
    rows: list[dict[str, Any]] = []
    keys: set[str] = set()
    is_checked = False
    with open_file(file.path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            record, problem = _parse_line(line)
            rows.append(_make_row(file, number, line, record, problem))
            if not is_checked:
                keys.update(str(key) for key in record)
            if len(rows) == _LINES_PER_BATCH:
                if not is_checked:
                    _check_keys(file, rows, keys)
                    is_checked = True
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
    if rows:
        if not is_checked:
            _check_keys(file, rows, keys)
        yield pa.RecordBatch.from_pylist(rows, schema)


def _parse_line(line: bytes) -> tuple[dict[Any, Any], str | None]:
    """Return the dictionary of a line, or an empty one and the problem."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return {}, "not UTF-8"
    try:
        value = ast.literal_eval(text.strip().lstrip("\ufeff"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}, "broken Python literal"
    return (value, None) if isinstance(value, dict) else ({}, "not a Python dictionary")


def _make_row(
    file: RawFile, number: int, line: bytes, record: dict[Any, Any], problem: str | None
) -> dict[str, Any]:
    return {
        "source_file": file.name,
        "row_number": number,
        "raw": line.decode(errors="replace").rstrip("\r\n")[:EXAMPLE_LENGTH],
        "problem": problem,
        **{
            column: _combine_texts([record.get(name) for name in names])
            for column, names in file.columns.items()
        },
    }


def _check_keys(file: RawFile, rows: list[dict[str, Any]], keys: set[str]) -> None:
    if not keys:
        raise InputError(
            f"{file.path}: no line is a Python dictionary. The first line is\n"
            f"  {rows[0]['raw'][:80]}\n"
            f"Is the format python? Check {file.setting}.format in globals.yml."
        )
    check_columns(file, sorted(keys))


def _combine_texts(values: Sequence[Any]) -> str | None:
    """Return the values as one text: a JSON list if there are several, None if there is none."""
    texts = [_format_text(value) for value in values]
    return json.dumps(texts) if len(texts) > 1 else next(iter(texts), None)


def _format_text(value: Any) -> str | None:
    # A Python string may contain lone surrogates, which UTF-8 cannot encode.
    return None if value is None else str(value).encode("utf-8", "replace").decode()
