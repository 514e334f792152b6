"""Read CSV files with a header, gzipped or not, with commas, semicolons, tabs or vertical bars."""

import csv
import gzip
from typing import TYPE_CHECKING

from bazar.errors import InputError
from bazar.ingestion.lines import MAX_LINE_BYTES, is_gzip, read_chunks
from bazar.ingestion.readers.raw_file import RawFile, check_columns
from bazar.ingestion.readers.sql import (
    name_table,
    query_column,
    quote_name,
    quote_text,
    select_columns,
    shorten_text,
)

if TYPE_CHECKING:
    import duckdb

_DELIMITERS = ",;\t|"
# Skips only the malformed lines. `ignore_errors` would also skip some valid lines.
_SKIP_MALFORMED = "store_rejects = true, rejects_limit = 0"
_LINE_SIZE = f"max_line_size = {MAX_LINE_BYTES}, buffer_size = {2 * MAX_LINE_BYTES}"
_PROBLEMS = {
    "INVALID ENCODING": "not UTF-8",
    "UNQUOTED VALUE": "broken quotes",
    "MAXIMUM LINE SIZE": "line too long",
}
"""Reject reason for each type of error that DuckDB reports."""


def select_csv(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    The complete file is read, to find its malformed lines.
    """
    for _ in read_chunks(file.path, file.name, file.max_rows, file.max_bytes):
        pass
    columns, delimiter = _read_header(file)
    check_columns(file, columns)
    # Columns are taken from the header. Inferring them from the first rows fails on malformed rows.
    types = ", ".join(f"{quote_text(column)}: 'VARCHAR'" for column in columns)
    reader = (
        f"read_csv({quote_text(file.path)}, columns = {{{types}}}, auto_detect = false, "
        f"header = true, delim = {quote_text(delimiter)}, quote = '\"', escape = '\"', "
        f"{_LINE_SIZE}, compression = {quote_text('gzip' if is_gzip(file.path) else 'none')}"
    )
    malformed = _list_malformed_lines(file, connection, reader)
    _check_quotes(file, connection, malformed, len(columns), delimiter)
    rows = f"{reader}, {_SKIP_MALFORMED})"
    if not any(
        query_column(connection, f"SELECT 1 FROM {table} LIMIT 1") for table in (rows, malformed)
    ):
        raise InputError(f"{file.path} is empty: it has a header but no record")
    nulls = ", ".join(f"NULL::VARCHAR AS {column}" for column in file.columns)
    texts = ", ".join(f"coalesce({quote_name(column)}, '')" for column in columns)
    line = f"concat_ws({quote_text(delimiter)}, {texts})"
    problem = " ".join(
        f"WHEN {quote_text(error)} THEN {quote_text(reason)}" for error, reason in _PROBLEMS.items()
    )
    return f"""
        SELECT {quote_text(file.name)} AS source_file, row_number() OVER () AS row_number,
            {shorten_text(line)} AS raw, NULL::VARCHAR AS problem,
            {select_columns(file)}
        FROM {rows}
        UNION ALL BY NAME
        SELECT {quote_text(file.name)} AS source_file, line AS row_number,
            {shorten_text("csv_line")} AS raw,
            CASE error {problem} ELSE 'wrong number of columns' END AS problem, {nulls}
        FROM {malformed}
    """


def _list_malformed_lines(
    file: RawFile, connection: "duckdb.DuckDBPyConnection", reader: str
) -> str:
    """Create a table of the lines that DuckDB skips, so that each of them is rejected.

    Args:
        file: the file.
        connection: the connection that reads it.
        reader: a call of ``read_csv`` without its closing parenthesis.

    Returns:
        Name of a table with one row per line: ``line`` (number, from 1), ``csv_line``, ``error``.

    Raises:
        InputError: if DuckDB cannot continue after a line.
    """
    import duckdb

    table = name_table("malformed_lines", file.path)
    options = f"{_SKIP_MALFORMED}, rejects_table = '{table}_raw', rejects_scan = '{table}_scan'"
    connection.execute(f"DROP TABLE IF EXISTS {table}_raw; DROP TABLE IF EXISTS {table}_scan")
    try:
        query_column(connection, f"SELECT count(COLUMNS(*)) FROM {reader}, {options})")
    except duckdb.Error as error:
        message = "\n  ".join(str(error).splitlines()[:2])
        raise InputError(
            f"{file.path} cannot be read\n  {message}\n"
            "Write the file as UTF-8, with the same line end, \\n or \\r\\n, for all lines. "
            f"Check {file.setting}.format in globals.yml."
        ) from error
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        SELECT line::BIGINT AS line, any_value(csv_line) AS csv_line,
            any_value(error_type::VARCHAR) AS error
        FROM {table}_raw GROUP BY line
    """)
    return table


def _check_quotes(
    file: RawFile,
    connection: "duckdb.DuckDBPyConnection",
    malformed: str,
    n_columns: int,
    delimiter: str,
) -> None:
    """Raise InputError if a quote is opened and never closed.

    DuckDB then reads all lines up to the next quote as one value. It reports only one malformed
    line, or a part of it. The other lines would be lost and not counted.
    """
    broken = connection.execute(
        f"SELECT line, csv_line FROM {malformed} WHERE error = 'UNQUOTED VALUE' ORDER BY line"
    ).fetchall()
    for number, text in broken:
        if not _ends_within_line(text, n_columns, delimiter):
            raise InputError(
                f"{file.path}, line {number}: a quote is opened and never closed, so the lines "
                f"after it cannot be separated\n  {text[:80]!r}\n"
                'Correct that line. Write a quote within a quoted value twice ("").'
            )


def _ends_within_line(line: str, n_columns: int, delimiter: str) -> bool:
    """Return whether the broken quotes of a line affect only this line."""
    if "\n" in line.rstrip("\r\n") or line.count('"') % 2:
        return False
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), [])) != n_columns
    except csv.Error:
        return True


def _read_header(file: RawFile) -> tuple[list[str], str]:
    """Return the column names and the delimiter.

    The delimiter is the first one whose header contains the mapped columns. A column without a
    name, such as one after a trailing delimiter, is named by its number.
    """
    open_file = gzip.open if is_gzip(file.path) else open
    headers = {}
    for delimiter in _DELIMITERS:
        with open_file(file.path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
            header = next(csv.reader(text, delimiter=delimiter), [])
        headers[delimiter] = [
            name or f"column {number}" for number, name in enumerate(header, start=1)
        ]
    mapped = set(file.source_columns)
    delimiter = next(
        (delimiter for delimiter, header in headers.items() if mapped <= set(header)),
        max(headers, key=lambda delimiter: len(headers[delimiter])),
    )
    header = headers[delimiter]
    if not header:
        raise InputError(f"{file.path} is empty: it has no header")
    if repeated := {name for name in header if header.count(name) > 1}:
        raise InputError(
            f"{file.path}: several columns are named {', '.join(sorted(repeated))}\n"
            f"  found {', '.join(header)}\nRename them in the header."
        )
    return header, delimiter
