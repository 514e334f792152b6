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
from bazar.ingestion.readers.shape import FileShape, JsonPointer
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

    If a column is in a list of objects, there is a row for each element of the list. Its values
    from outside the list are those of the object that contains the list.

    Args:
        file: the file.
        records: SQL that selects ``row_number``, ``line`` and ``encoding_problem``.
        shape: the shape of the file, with the pointers of its columns.
        positions: for each column of the result, the positions of its source columns.
    """
    used = {number: shape.pointers[number] for found in positions.values() for number in found}
    lists = _find_lists(file, shape, used)
    # The object has level 0, the elements of the first list have level 1, and so on.
    paths = [
        list(dict.fromkeys(path for path, within in used.values() if len(within) == level))
        for level in range(len(lists) + 1)
    ]
    texts = ["NULL"] * len(shape.pointers)
    for number, (path, within) in used.items():
        level = len(within)
        field = _select_field(level, paths[level].index(path) + 1, quote_text(path))
        texts[number] = f"CASE WHEN is_object_{level} THEN {field} END"
    # Each line is validated first, because extracting fields from invalid JSON fails.
    objects = _extract_fields(
        f"""
            SELECT *, CASE WHEN encoding_problem IS NULL AND json_valid(line)
                THEN line END AS json_0
            FROM ({records})
        """,
        0,
        paths[0],
    )
    problems = ""
    for level, pointer in enumerate(lists, start=1):
        objects = _extract_fields(_select_elements(level, pointer, objects), level, paths[level])
        name = quote_text(f"no object in {_name_list(lists[:level])}")
        problems += f"WHEN is_object_{level} IS NOT TRUE THEN {name} "
    elements = [f"json_{level}::VARCHAR" for level in range(len(lists), 0, -1)]
    return f"""
        SELECT {quote_text(file.name)} AS source_file,
            {"row_number() OVER () AS row_number" if lists else "row_number"},
            rtrim({shorten_text(f"coalesce({', '.join([*elements, 'line'])})")}, E'\\r\\n') AS raw,
            CASE WHEN encoding_problem IS NOT NULL THEN encoding_problem
                 WHEN json_0 IS NULL THEN 'broken JSON'
                 WHEN NOT is_object_0 THEN 'not a JSON object' {problems}END AS problem,
            {select_texts(texts, positions)}
        FROM ({objects})
    """


def _find_lists(file: RawFile, shape: FileShape, used: dict[int, JsonPointer]) -> tuple[str, ...]:
    """Return the pointers of the lists that the columns are in, the outermost first.

    Raises:
        InputError: if the columns are in different lists, whose elements do not belong together.
    """
    lists = max((pointer.lists for pointer in used.values()), key=len, default=())
    for number, (_, within) in used.items():
        if within != lists[: len(within)]:
            raise InputError(
                f"{file.path}: {file.setting} reads the list {_name_list(lists)}, and "
                f"{shape.columns[number]!r} of the list {_name_list(within)}. A row has the values "
                "of one element of one list. Map columns of only one of these lists."
            )
    return lists


def _name_list(lists: tuple[str, ...]) -> str:
    """Return the name of a list, such as ``orders.line_items``."""
    keys = "".join(lists).removeprefix("/").split("/")
    return ".".join(key.replace("~1", "/").replace("~0", "~") for key in keys)


def _extract_fields(values: str, level: int, paths: list[str]) -> str:
    """Return the SQL that adds ``is_object`` and the texts of fields to the JSON of a level."""
    json = f"json_{level}"
    fields = ", ".join(map(quote_text, paths))
    texts = f", json_extract_string({json}, [{fields}]) AS fields_{level}" if paths else ""
    return f"""
        SELECT *, CASE WHEN starts_with({json}, '{{') THEN true
            ELSE json_type({json}) = 'OBJECT' END AS is_object_{level}{texts}
        FROM ({values})
    """


def _select_elements(level: int, pointer: str, objects: str) -> str:
    """Return the SQL of the elements of a list: one row for each, or one without an element."""
    found = f"try_cast(json_extract(json_{level - 1}, {quote_text(pointer)}) AS JSON[])"
    return f"""
        SELECT *, unnest(CASE WHEN len({found}) > 0 THEN {found} ELSE [NULL] END) AS json_{level}
        FROM ({objects})
    """


def _select_field(level: int, place: int, pointer: str) -> str:
    """Return the SQL of a field as text: whole numbers without ``.0``, NaN as null.

    Texts that look like that are kept. The type is looked up only for them, because it is slow.
    """
    text = f"fields_{level}[{place}]"
    return (
        f"CASE WHEN ends_with({text}, '.0') OR {text} = 'NaN' THEN "
        f"CASE WHEN json_type(json_{level}, {pointer}) = 'DOUBLE' "
        f"THEN nullif(regexp_replace({text}, '\\.0$', ''), 'NaN') ELSE {text} END "
        f"ELSE {text} END"
    )
