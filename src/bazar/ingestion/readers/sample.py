"""Read all columns of a file that was inspected."""

import itertools
from pathlib import Path

import ibis
import ibis.expr.types as ir

from bazar.ingestion.lines import read_head
from bazar.ingestion.readers.csv_header import parse_rows
from bazar.ingestion.readers.encodings import decode_head
from bazar.ingestion.readers.raw_file import RawFile
from bazar.ingestion.readers.records import select_positions
from bazar.ingestion.readers.shape import FileShape

_MAX_ROWS, _MAX_BYTES = 10**9, 10**12
_HEAD_BYTES = 1 << 22


def open_records(path: Path, shape: FileShape) -> ir.Table:
    """Return all records of a file as a lazy table of text, on a connection of its own.

    Args:
        path: the file.
        shape: its shape.

    Returns:
        The columns ``source_file``, ``row_number``, ``raw`` and ``problem`` (see
        :func:`bazar.ingestion.readers.raw_file.build_records_schema`), then ``column_0``,
        ``column_1``, … for the columns of the shape, in their order.

    Raises:
        InputError: see :func:`bazar.ingestion.readers.records.select_records`.
    """
    connection = ibis.duckdb.connect()
    names = [f"column_{number}" for number in range(len(shape.columns))]
    file = RawFile(
        path=path,
        name=path.name,
        file_format=shape.file_format,
        columns={name: [source] for name, source in zip(names, shape.columns, strict=True)},
        setting="interactions",
        max_rows=_MAX_ROWS,
        max_bytes=_MAX_BYTES,
        encoding=shape.encoding or "auto",
        sheet=shape.sheet,
    )
    positions = {name: [number] for number, name in enumerate(names)}
    return connection.sql(select_positions(file, shape, positions, connection.con))


def read_sample(path: Path, shape: FileShape, n_rows: int) -> list[dict[str, str | None]]:
    """Return the first records of a file as text by column name.

    Of columns with one name, the first is returned. Records that cannot be parsed are left out. Of
    a CSV file, only the first megabytes are read.

    Args:
        path: the file.
        shape: its shape.
        n_rows: maximum number of records.

    Raises:
        InputError: see :func:`open_records`.
    """
    if shape.header is not None:
        text = decode_head(read_head(path, _HEAD_BYTES), shape.encoding or "utf-8")
        fitting = (
            cells for cells in parse_rows(text, shape.header) if len(cells) == len(shape.columns)
        )
        rows = [[cell or None for cell in cells] for cells in itertools.islice(fitting, n_rows)]
    else:
        table = open_records(path, shape)
        first = table.filter(table.problem.isnull()).limit(n_rows)
        names = [f"column_{number}" for number in range(len(shape.columns))]
        rows = [[row[name] for name in names] for row in first.to_pyarrow().to_pylist()]
    first_of_name = {name: shape.columns.index(name) for name in shape.columns}
    return [{name: row[place] for name, place in first_of_name.items()} for row in rows]
