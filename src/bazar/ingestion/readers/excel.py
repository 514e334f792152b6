"""Read Excel workbooks."""

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import make_size_error
from bazar.ingestion.readers.raw_file import EXAMPLE_LENGTH, RawFile, build_records_schema
from bazar.ingestion.readers.shape import FileShape
from bazar.ingestion.readers.sql import store_records
from bazar.ingestion.readers.workbook import read_sheet

if TYPE_CHECKING:
    import duckdb


def select_excel(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL of the records; see :func:`bazar.ingestion.readers.records.select_records`.

    The rows are stored in a temporary table. A sheet has at most about a million rows.
    """
    if file.path.stat().st_size > file.max_bytes:
        raise make_size_error(file.path, f"{file.max_bytes:,} bytes")
    workbook = read_sheet(file.path, shape.sheet, f"{file.setting}.")
    names: list[str | None] = [
        None if name == f"column {number}" else name
        for number, name in enumerate(workbook.columns, start=1)
    ]
    rows = [
        _make_row(file, number, texts, positions, is_header=texts == names)
        for number, texts in workbook.iterate_rows()
    ]
    if not rows:
        raise InputError(
            f"{file.path} is empty: the sheet {shape.sheet!r} has a header but no record. Set "
            f"{file.setting}.sheet in globals.yml to the sheet that has the data."
        )
    if len(rows) > file.max_rows:
        raise make_size_error(file.path, f"{file.max_rows:,} rows")
    connection.register("excel_rows", pa.Table.from_pylist(rows, build_records_schema(positions)))
    sql = store_records(file, connection, shape.version, "SELECT * FROM excel_rows")
    connection.unregister("excel_rows")
    return sql


def _make_row(
    file: RawFile,
    number: int,
    texts: list[str | None],
    positions: dict[str, list[int]],
    is_header: bool,
) -> dict[str, Any]:
    return {
        "source_file": file.name,
        "row_number": number,
        "raw": ",".join(text or "" for text in texts)[:EXAMPLE_LENGTH],
        "problem": "repeated header" if is_header else None,
        **{
            column: None if is_header else _combine_texts([texts[place] for place in found])
            for column, found in positions.items()
        },
    }


def _combine_texts(texts: list[str | None]) -> str | None:
    """Return a JSON list if there are several texts, None if there is none."""
    return json.dumps(texts) if len(texts) > 1 else next(iter(texts), None)
