"""Build the SQL that all readers use."""

import zlib
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bazar.errors import InputError
from bazar.ingestion.readers.raw_file import EXAMPLE_LENGTH, RawFile

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


def select_columns(file: RawFile, list_columns: Set[str] = frozenset()) -> str:
    """Return the SQL that selects the mapped columns as text.

    Args:
        file: the file with the mapping.
        list_columns: columns of the file that contain lists. They are converted to JSON.
    """

    def select_text(name: str) -> str:
        text = f"to_json({quote_name(name)})" if name in list_columns else quote_name(name)
        return f"{text}::VARCHAR"

    return ", ".join(
        f"{combine_texts([select_text(name) for name in names])} AS {column}"
        for column, names in file.columns.items()
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


def name_table(prefix: str, path: Path) -> str:
    """Return a table name that is unique to a file."""
    return f"{prefix}_{zlib.crc32(str(path).encode())}"
