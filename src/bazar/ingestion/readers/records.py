"""Read the records of a raw file of any format as text, so that ids keep their leading zeros.

DuckDB parses the files, in this process or in a Spark worker.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from bazar.ingestion.lines import Lines, check_unchanged
from bazar.ingestion.readers.csv import select_csv
from bazar.ingestion.readers.excel import select_excel
from bazar.ingestion.readers.json import select_json_lines, select_json_values
from bazar.ingestion.readers.parquet import select_parquet
from bazar.ingestion.readers.python_literals import select_python_lines
from bazar.ingestion.readers.raw_file import RawFile, check_exists, find_positions
from bazar.ingestion.readers.shape import FileShape, inspect_file

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

_SELECT = {
    "csv": select_csv,
    "jsonl": select_json_lines,
    "json": select_json_values,
    "parquet": select_parquet,
    "excel": select_excel,
    "python": select_python_lines,
}
"""Functions that return the SQL of the records, by format."""


def select_records(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Check a file, and return the SQL that reads its records.

    Files of JSON lines are checked while the query reads them. The query fails with an error that
    :func:`bazar.ingestion.readers.sql.extract_input_error` converts. Other files are checked
    completely by this function. Files that DuckDB does not parse are stored in a temporary table.

    Args:
        file: the file.
        connection: the connection that runs the query.

    Returns:
        SQL that selects the columns of
        :func:`bazar.ingestion.readers.raw_file.build_records_schema`, including one row for each
        record that cannot be parsed. Lists are returned as text: as Python literals if the file
        contains those, otherwise as JSON. Whole numbers are written without ``.0``. Times with a
        zone are in UTC, with an offset. The query fails if the file changed since it was checked.

    Raises:
        InputError: if the file is missing, empty, truncated or too large, has another format than
            the configured one, lacks a mapped column, cannot be parsed, or changes meanwhile.
    """
    shape = _inspect(file)
    return select_positions(file, shape, find_positions(file, shape.columns), connection)


def select_positions(
    file: RawFile,
    shape: FileShape,
    positions: dict[str, list[int]],
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """Return the SQL that reads columns of a file by their position; see :func:`select_records`.

    Args:
        file: the file. Its columns have the names of ``positions``.
        shape: its shape.
        positions: for each column of the result, the positions of its source columns.
        connection: the connection that runs the query.
    """
    return _SELECT[shape.file_format](file, shape, positions, connection)


def check_file(file: RawFile) -> None:
    """Check a complete file, with a new DuckDB connection.

    Raises:
        InputError: see :func:`select_records`.
    """
    import duckdb

    shape = _inspect(file)
    with duckdb.connect() as connection:
        select_positions(file, shape, find_positions(file, shape.columns), connection)
    if shape.file_format == "jsonl":
        limits = file.max_rows, file.max_bytes, shape.encoding or "utf-8"
        for _ in Lines(file.path, file.name, *limits).batches():
            pass


def read_batches(file: RawFile) -> Iterator[pa.RecordBatch]:
    """Read the records of a file in batches, with a new DuckDB connection.

    Yields:
        Batches with the columns of
        :func:`bazar.ingestion.readers.raw_file.build_records_schema`, in any order.

    Raises:
        InputError: see :func:`select_records`.
    """
    import duckdb

    shape = _inspect(file)
    with duckdb.connect() as connection:
        sql = select_positions(file, shape, find_positions(file, shape.columns), connection)
        yield from connection.execute(sql).to_arrow_reader()
    # A result that is read in batches is not read in the order of its parts.
    check_unchanged(file.path, shape.version)


def _inspect(file: RawFile) -> FileShape:
    check_exists(file)
    shape = inspect_file(
        file.path, file.encoding, file.sheet, file.file_format, file.source_columns, file.setting
    )
    if file.encoding == "auto" and shape.encoding and not shape.encoding.startswith("utf"):
        logger.info(
            "%s is not UTF-8. It is read as %s, the most likely encoding. If names look wrong, set "
            "%s.encoding in globals.yml.",
            file.name,
            shape.encoding,
            file.setting,
        )
    return shape
