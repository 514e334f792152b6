"""Build the SQL that all readers use."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import FileVersion, check_unchanged
from bazar.ingestion.readers.raw_file import EXAMPLE_LENGTH, RawFile, build_records_schema

if TYPE_CHECKING:
    import duckdb


def query_column(connection: "duckdb.DuckDBPyConnection", sql: str) -> list[Any]:
    """Return the first column of a query's result.

    Raises:
        InputError: if a file that the query reads cannot be used.
    """
    import duckdb

    try:
        return [row[0] for row in connection.execute(sql).fetchall()]
    except duckdb.Error as error:
        raise extract_input_error(error) or error from None


def extract_input_error(error: Exception) -> InputError | None:
    """Return the InputError that a DuckDB error contains, or None.

    :class:`bazar.ingestion.lines.Lines` raises InputError while DuckDB reads it.
    """
    text = str(error).partition("Unknown error: ")[2]
    message = text.partition(". Detail: Python exception: ")[0]
    return InputError(message) if "InputError" in str(error) else None


def select_texts(texts: Sequence[str], positions: dict[str, list[int]]) -> str:
    """Return the SQL that selects the mapped columns as text.

    Args:
        texts: SQL of the text of each column of the file.
        positions: for each column of the result, the positions of its source columns.
    """
    return ", ".join(
        f"{combine_texts([texts[position] for position in found])} AS {column}"
        for column, found in positions.items()
    )


def combine_texts(texts: list[str]) -> str:
    """Return the SQL that combines texts: a JSON list if there are several, null if none."""
    if len(texts) > 1:
        return f"to_json([{', '.join(texts)}])::VARCHAR"
    return texts[0] if texts else "NULL::VARCHAR"


def shorten_text(text: str) -> str:
    """Return the SQL that truncates a text to the length of an example."""
    return f"substr({text}, 1, {EXAMPLE_LENGTH})"


def quote_text(value: Path | str) -> str:
    """Return a value as an SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def quote_name(column: str) -> str:
    """Return a column name as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


def quote_path(path: Path) -> str:
    """Return a path as an SQL string literal that DuckDB does not read as a pattern."""
    return quote_text(escape_pattern(path))


def escape_pattern(path: Path) -> str:
    """Return a path whose characters ``*``, ``?`` and ``[`` are literal in a pattern of DuckDB."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def name_table(prefix: str, file: RawFile) -> str:
    """Return a table name that is unique to a file and its mapping."""
    return f"{prefix}_{hashlib.sha256(repr(file).encode()).hexdigest()[:16]}"


def store_records(
    file: RawFile, connection: "duckdb.DuckDBPyConnection", version: FileVersion, sql: str
) -> str:
    """Store the records of a file in a temporary table, and return the SQL that reads it.

    Raises:
        InputError: if the file changed, or cannot be used.
    """
    import duckdb

    table = name_table("records", file)
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}")
    except duckdb.Error as error:
        raise extract_input_error(error) or error from None
    check_unchanged(file.path, version)
    return f"SELECT * FROM {table}"


def watch_file(
    file: RawFile, connection: "duckdb.DuckDBPyConnection", version: FileVersion, sql: str
) -> str:
    """Return SQL of the same records, which fails if the file changed when they have been read.

    Raises:
        InputError: if the file has already changed.
    """
    check_unchanged(file.path, version)
    table = name_table("watched", file)
    connection.register(table, _Watch(file, version))
    return f"{sql} UNION ALL BY NAME SELECT * FROM {table}"


class _Watch:
    """An Arrow stream without rows. Reading it checks that the file is unchanged.

    DuckDB reads the parts of a union in turn when it stores them, so it is read last.
    """

    def __init__(self, file: RawFile, version: FileVersion) -> None:
        self._file = file
        self._version = version

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        schema = build_records_schema(self._file.columns)
        reader = pa.RecordBatchReader.from_batches(schema, self._check())
        return reader.__arrow_c_stream__(requested_schema)

    def _check(self) -> Iterator[pa.RecordBatch]:
        check_unchanged(self._file.path, self._version)
        yield from ()
