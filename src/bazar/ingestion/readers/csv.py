"""Read CSV files with a header, gzipped or not, with any delimiter and encoding."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from bazar.errors import InputError
from bazar.ingestion.lines import (
    MAX_LINE_BYTES,
    describe_encoding_problem,
    is_gzip,
    is_utf8,
    read_chunks,
)
from bazar.ingestion.readers.csv_header import CsvHeader
from bazar.ingestion.readers.raw_file import RawFile
from bazar.ingestion.readers.shape import FileShape
from bazar.ingestion.readers.sql import (
    name_table,
    query_column,
    quote_path,
    quote_text,
    select_texts,
    shorten_text,
    store_records,
    watch_file,
)
from bazar.ingestion.readers.utf8_copy import copy_as_utf8

if TYPE_CHECKING:
    import duckdb

# Skips only the malformed lines. `ignore_errors` would also skip some valid lines.
_SKIP_MALFORMED = "store_rejects = true, rejects_limit = 0"
_LINE_SIZE = f"max_line_size = {MAX_LINE_BYTES}, buffer_size = {2 * MAX_LINE_BYTES}"
_PROBLEMS = {"UNQUOTED VALUE": "broken quotes", "MAXIMUM LINE SIZE": "line too long"}
"""Reject reason for each type of error that DuckDB reports."""
_BYTE_ORDER_MARK = "chr(65279)"


def select_csv(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    The complete file is read, to find its malformed lines. A file that DuckDB cannot parse as it is
    written is copied and stored in a temporary table.
    """
    encoding, header = shape.encoding or "utf-8", shape.header
    assert header is not None
    # DuckDB skips a header with line breaks only if no byte order mark is before it.
    if is_utf8(encoding) and not header.has_line_break:
        for _ in read_chunks(file.path, file.name, file.max_rows, file.max_bytes):
            pass
        sql = _select_rows(file, file.path, shape, header, positions, connection)
        return watch_file(file, connection, shape.version, sql)
    with copy_as_utf8(file, encoding) as copy:
        sql = _select_rows(file, copy, shape, header, positions, connection)
        return store_records(file, connection, shape.version, sql)


def _select_rows(
    file: RawFile,
    path: Path,
    shape: FileShape,
    header: CsvHeader,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records of the file, or of its copy at another path."""
    # Columns are named by their position, because names may differ by case only.
    names = [f"c{number}" for number in range(len(header.columns))]
    types = ", ".join(f"{name}: 'VARCHAR'" for name in names)
    delimiter = quote_text(header.delimiter)
    # Inferring the columns from the first rows fails on malformed rows.
    reader = (
        f"read_csv({quote_path(path)}, columns = {{{types}}}, auto_detect = false, "
        f"header = false, skip = {header.n_records}, new_line = {_escape(header.line_end)}, "
        f"delim = {delimiter}, quote = '\"', escape = '\"', {_LINE_SIZE}, "
        f"compression = {quote_text('gzip' if is_gzip(path) else 'none')}"
    )
    malformed = _list_malformed_lines(file, connection, reader)
    _check_quotes(file, connection, malformed, len(names), header.delimiter)
    rows = f"{reader}, {_SKIP_MALFORMED})"
    if not any(
        query_column(connection, f"SELECT 1 FROM {table} LIMIT 1") for table in (rows, malformed)
    ):
        raise InputError(
            f"{file.path} is empty: it has a header but no record. Export or download it again."
        )
    nulls = ", ".join(f"NULL::VARCHAR AS {column}" for column in positions)
    cells = ", ".join(f"coalesce({name}, '')" for name in names)
    line = f"concat_ws({delimiter}, {cells})"
    malformed_line = "ltrim(csv_line, E'\\r\\n')"
    reasons = _PROBLEMS | {"INVALID ENCODING": describe_encoding_problem(shape.encoding or "utf-8")}
    problem = " ".join(
        f"WHEN {quote_text(error)} THEN {quote_text(reason)}" for error, reason in reasons.items()
    )
    texts = [f"CASE WHEN NOT is_header THEN {name} END" for name in names]
    return f"""
        SELECT {quote_text(file.name)} AS source_file, row_number,
            {shorten_text(line)} AS raw,
            CASE WHEN is_header THEN 'repeated header' END AS problem,
            {select_texts(texts, positions)}
        FROM (
            SELECT *, row_number() OVER () AS row_number, {_equals_header(header)} AS is_header
            FROM {rows}
        )
        UNION ALL BY NAME
        SELECT {quote_text(file.name)} AS source_file, line AS row_number,
            {shorten_text(malformed_line)} AS raw,
            CASE error {problem} ELSE 'wrong number of columns' END AS problem, {nulls}
        FROM {malformed}
    """


def _equals_header(header: CsvHeader) -> str:
    """Return the SQL of whether a row is the header again: files were joined with ``cat``."""
    cells = [*header.cells, *[""] * (len(header.columns) - len(header.cells))]
    first = f"ltrim(coalesce(c0, ''), {_BYTE_ORDER_MARK}) = {quote_text(cells[0])}"
    rest = [
        f"coalesce(c{number}, '') = {quote_text(cell)}"
        for number, cell in enumerate(cells[1:], start=1)
    ]
    return f"({' AND '.join([first, *rest])})"


def _escape(line_end: str) -> str:
    return quote_text(line_end.replace("\r", "\\r").replace("\n", "\\n"))


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

    table = name_table("malformed_lines", file)
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
