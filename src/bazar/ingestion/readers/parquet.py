"""Read Parquet files, as any engine writes them."""

from typing import TYPE_CHECKING

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import make_size_error
from bazar.ingestion.readers.parquet_columns import read_parquet_schema
from bazar.ingestion.readers.raw_file import RawFile
from bazar.ingestion.readers.shape import FileShape
from bazar.ingestion.readers.sql import (
    query_column,
    quote_name,
    quote_path,
    quote_text,
    select_texts,
    shorten_text,
    watch_file,
)

if TYPE_CHECKING:
    import duckdb

_LARGEST_WHOLE = "1e18"


def select_parquet(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    Lists and structures are returned as JSON.
    """
    import duckdb

    # Other engines write text as byte arrays. Folder names such as date=2024 are not columns.
    source = (
        f"read_parquet({quote_path(file.path)}, binary_as_string = true, hive_partitioning = false)"
    )
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        rows = query_column(connection, f"SELECT count(*) FROM {source}")[0]
    except duckdb.Error as error:
        raise InputError(
            f"{file.path} cannot be read as Parquet\n  {str(error).splitlines()[0]}\n"
            f"Check {file.setting}.format in globals.yml."
        ) from error
    if not rows:
        raise InputError(f"{file.path} is empty: it has no record. Export or download it again.")
    if rows > file.max_rows:
        raise make_size_error(file.path, f"{file.max_rows:,} rows")
    # DuckDB renames columns whose names differ by case only, so positions identify them.
    texts = [
        _convert_to_text(quote_name(name), kind, field.type)
        for (name, kind, *_), field in zip(described, read_parquet_schema(file.path), strict=True)
    ]
    sql = f"""
        SELECT {quote_text(file.name)} AS source_file, row_number() OVER () AS row_number,
            {shorten_text(f"concat_ws(',', {', '.join(texts)})")} AS raw,
            NULL::VARCHAR AS problem,
            {select_texts(texts, positions)}
        FROM {source}
    """
    return watch_file(file, connection, shape.version, sql)


def _convert_to_text(column: str, kind: str, arrow_type: pa.DataType) -> str:
    """Return the SQL of the text of a column.

    Args:
        column: the quoted name of the column.
        kind: its type in DuckDB.
        arrow_type: its type in Arrow, which has the time zone of all time units.
    """
    text = f"{column}::VARCHAR"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"to_json({column})::VARCHAR"
    if kind in ("DOUBLE", "FLOAT"):
        # A whole number is an id without .0. NaN and infinity are not values.
        return (
            f"CASE WHEN NOT isfinite({column}) THEN NULL "
            f"WHEN {column} = trunc({column}) AND abs({column}) < {_LARGEST_WHOLE} "
            f"THEN {column}::BIGINT::VARCHAR ELSE {text} END"
        )
    if kind.startswith("DECIMAL"):
        return f"regexp_replace({text}, '\\.0+$', '')"
    if kind == "TIMESTAMP WITH TIME ZONE":
        # Not as text of the session's time zone.
        return f"(({column} AT TIME ZONE 'UTC')::VARCHAR || '+00:00')"
    if pa.types.is_timestamp(arrow_type) and arrow_type.tz is not None:
        return f"({text} || '+00:00')"
    return text
