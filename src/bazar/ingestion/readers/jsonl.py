"""Read JSON lines: one JSON object per line, gzipped or not."""

from typing import TYPE_CHECKING

from bazar.errors import InputError
from bazar.ingestion.lines import Lines
from bazar.ingestion.readers.raw_file import RawFile, check_columns
from bazar.ingestion.readers.sql import (
    combine_texts,
    name_table,
    query_column,
    quote_text,
    shorten_text,
)

if TYPE_CHECKING:
    import duckdb

_LINES_WITH_KEYS = 10_000
"""Number of first lines whose keys are used as the columns of the file."""
# Most lines start with a brace. Trimming every line would take longer than reading it.
_IS_BLANK = "CASE WHEN starts_with(line, '{') THEN false ELSE trim(line, E' \\t\\r\\n') = '' END"


def select_json_lines(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    The file is checked while the query reads it.
    """
    table = name_table("lines", file.path)
    connection.register(table, Lines(file.path, file.name, file.max_rows, file.max_bytes))
    records = f"SELECT * FROM {table} WHERE NOT {_IS_BLANK}"
    check_columns(file, _list_keys(file, connection, records))
    paths = ", ".join(quote_text(f'$."{name}"') for name in file.source_columns)
    positions = {name: number for number, name in enumerate(file.source_columns, start=1)}
    fields = ", ".join(
        _select_field([f"fields[{positions[name]}]" for name in names], column)
        for column, names in file.columns.items()
    )
    # Each line is validated first, because extracting fields from invalid JSON fails.
    return f"""
        SELECT {quote_text(file.name)} AS source_file, row_number,
            rtrim({shorten_text("line")}, E'\\r\\n') AS raw,
            CASE WHEN encoding_problem IS NOT NULL THEN encoding_problem
                 WHEN json IS NULL THEN 'broken JSON'
                 WHEN NOT is_object THEN 'not a JSON object' END AS problem,
            {fields}
        FROM (
            SELECT *, CASE WHEN starts_with(json, '{{') THEN true
                    ELSE json_type(json) = 'OBJECT' END AS is_object,
                json_extract_string(json, [{paths}]) AS fields
            FROM (
                SELECT *, CASE WHEN encoding_problem IS NULL AND json_valid(line)
                    THEN line END AS json
                FROM ({records})
            )
        )
    """


def _select_field(fields: list[str], column: str) -> str:
    if not fields:
        return f"NULL::VARCHAR AS {column}"
    return f"CASE WHEN is_object THEN {combine_texts(fields)} END AS {column}"


def _list_keys(file: RawFile, connection: "duckdb.DuckDBPyConnection", records: str) -> list[str]:
    """Return the keys of the first objects.

    Raises:
        InputError: if the file is empty, or none of its first lines is a JSON object.
    """
    first = f"SELECT line FROM ({records}) LIMIT {_LINES_WITH_KEYS}"
    valid = f"SELECT CASE WHEN json_valid(line) THEN line END AS json FROM ({first})"
    keys = query_column(
        connection,
        "SELECT DISTINCT unnest(CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END) "
        f"AS name FROM ({valid}) ORDER BY name",
    )
    if not keys:
        example = query_column(connection, f"SELECT line[:80] AS line FROM ({records}) LIMIT 1")
        if not example:
            raise InputError(f"{file.path} is empty: it has no record")
        raise InputError(
            f"{file.path}: no line is a JSON object. The first line is\n  {example[0]}\n"
            f"Is the format jsonl? Check {file.setting}.format in globals.yml."
        )
    return keys
