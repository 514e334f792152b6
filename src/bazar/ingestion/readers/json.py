"""Read JSON lines and JSON arrays, gzipped or not."""

from typing import TYPE_CHECKING

from bazar.errors import InputError
from bazar.ingestion.lines import (
    MAX_LINE_BYTES,
    Lines,
    is_gzip,
    is_utf8,
    make_size_error,
    read_chunks,
    read_head,
)
from bazar.ingestion.readers.encodings import decode_head
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
    from pathlib import Path

    import duckdb

# Most lines start with a brace. Trimming every line would take longer than reading it.
_IS_BLANK = "CASE WHEN starts_with(line, '{') THEN false ELSE trim(line, E' \\t\\r\\n') = '' END"


def select_json_lines(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    The file is checked while the query reads it.
    """
    table = name_table("lines", file)
    limits = file.max_rows, file.max_bytes, shape.encoding or "utf-8"
    connection.register(table, Lines(file.path, file.name, *limits))
    return _select_objects(file, f"SELECT * FROM {table} WHERE NOT {_IS_BLANK}", shape, positions)


def select_json_values(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the elements of an array, or of objects that have several lines each.

    The complete file is checked by this function.
    """
    encoding = shape.encoding or "utf-8"
    if is_utf8(encoding):
        limits = file.max_rows, file.max_bytes, encoding, file.max_bytes
        for _ in read_chunks(file.path, file.name, *limits):
            pass
        sql = _select_values(file, file.path, shape, positions, connection)
        return watch_file(file, connection, shape.version, sql)
    with copy_as_utf8(file, encoding, max_line_bytes=file.max_bytes) as copy:
        sql = _select_values(file, copy, shape, positions, connection)
        return store_records(file, connection, shape.version, sql)


def _select_values(
    file: RawFile,
    path: "Path",
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records of the file, or of its copy at another path."""
    import duckdb

    start = decode_head(read_head(path, 1 << 16), "utf-8").lstrip()
    layout = "array" if start.startswith("[") else "unstructured"
    reader = (
        f"read_json_objects({quote_path(path)}, format = '{layout}', "
        f"maximum_object_size = {MAX_LINE_BYTES}, "
        f"compression = {quote_text('gzip' if is_gzip(path) else 'uncompressed')})"
    )
    try:
        count = query_column(connection, f"SELECT count(json) FROM {reader}")[0]
    except duckdb.Error as error:
        problem = str(error).splitlines()[0].replace(str(path), str(file.path))
        raise InputError(
            f"{file.path} is not valid JSON\n  {problem}\n"
            "Correct that record, or write one object per line, so that only the lines that are "
            "not valid are left out."
        ) from error
    if count > file.max_rows:
        raise make_size_error(file.path, f"{file.max_rows:,} rows")
    values = (
        "SELECT row_number() OVER () AS row_number, json::VARCHAR AS line, "
        f"NULL::VARCHAR AS encoding_problem FROM {reader}"
    )
    return _select_objects(file, values, shape, positions)


def _select_objects(
    file: RawFile, records: str, shape: FileShape, positions: dict[str, list[int]]
) -> str:
    """Return the SQL of the columns of JSON objects.

    Args:
        file: the file.
        records: SQL that selects ``row_number``, ``line`` and ``encoding_problem``.
        shape: the shape of the file, with the pointers of its columns.
        positions: for each column of the result, the positions of its source columns.
    """
    used = list(dict.fromkeys(number for found in positions.values() for number in found))
    pointers = [quote_text(shape.pointers[number]) for number in used]
    places = {number: place for place, number in enumerate(used, start=1)}
    texts = [
        f"CASE WHEN is_object THEN {_select_field(places[number], pointer)} END"
        if number in places
        else "NULL"
        for number, pointer in enumerate(map(quote_text, shape.pointers))
    ]
    # Each line is validated first, because extracting fields from invalid JSON fails.
    return f"""
        SELECT {quote_text(file.name)} AS source_file, row_number,
            rtrim({shorten_text("line")}, E'\\r\\n') AS raw,
            CASE WHEN encoding_problem IS NOT NULL THEN encoding_problem
                 WHEN json IS NULL THEN 'broken JSON'
                 WHEN NOT is_object THEN 'not a JSON object' END AS problem,
            {select_texts(texts, positions)}
        FROM (
            SELECT *, CASE WHEN starts_with(json, '{{') THEN true
                    ELSE json_type(json) = 'OBJECT' END AS is_object,
                json_extract_string(json, [{", ".join(pointers)}]) AS fields
            FROM (
                SELECT *, CASE WHEN encoding_problem IS NULL AND json_valid(line)
                    THEN line END AS json
                FROM ({records})
            )
        )
    """


def _select_field(place: int, pointer: str) -> str:
    """Return the SQL of a field as text: whole numbers without ``.0``, NaN as null.

    Texts that look like that are kept. The type is looked up only for them, because it is slow.
    """
    text = f"fields[{place}]"
    return (
        f"CASE WHEN ends_with({text}, '.0') OR {text} = 'NaN' THEN "
        f"CASE WHEN json_type(json, {pointer}) = 'DOUBLE' "
        f"THEN nullif(regexp_replace({text}, '\\.0$', ''), 'NaN') ELSE {text} END "
        f"ELSE {text} END"
    )
