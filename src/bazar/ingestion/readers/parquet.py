"""Read Parquet files."""

from typing import TYPE_CHECKING

from bazar.errors import InputError
from bazar.ingestion.lines import make_size_error
from bazar.ingestion.readers.raw_file import RawFile, check_columns
from bazar.ingestion.readers.sql import (
    query_column,
    quote_name,
    quote_text,
    select_columns,
    shorten_text,
)

if TYPE_CHECKING:
    import duckdb


def select_parquet(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    Lists are returned as JSON.
    """
    import duckdb

    source = f"read_parquet({quote_text(file.path)})"
    described = f"FROM (DESCRIBE SELECT * FROM {source})"
    try:
        columns = query_column(connection, f"SELECT column_name {described}")
        list_columns = query_column(
            connection, f"SELECT column_name {described} WHERE column_type LIKE '%]'"
        )
        rows = query_column(connection, f"SELECT count(*) FROM {source}")[0]
    except duckdb.Error as error:
        raise InputError(
            f"{file.path} cannot be read as parquet\n  {str(error).splitlines()[0]}\n"
            f"Check {file.setting}.format in globals.yml."
        ) from error
    check_columns(file, columns)
    if not rows:
        raise InputError(f"{file.path} is empty: it has no record")
    if rows > file.max_rows:
        raise make_size_error(file.path, f"{file.max_rows:,} rows")
    texts = ", ".join(f"{quote_name(column)}::VARCHAR" for column in columns)
    return f"""
        SELECT {quote_text(file.name)} AS source_file, row_number() OVER () AS row_number,
            {shorten_text(f"concat_ws(',', {texts})")} AS raw, NULL::VARCHAR AS problem,
            {select_columns(file, set(list_columns))}
        FROM {source}
    """
