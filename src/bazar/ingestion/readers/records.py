"""Read the records of a raw file of any format as text, so that ids keep their leading zeros.

DuckDB parses the files, in this process or in a Spark worker.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from bazar.ingestion.lines import Lines
from bazar.ingestion.readers.csv import select_csv
from bazar.ingestion.readers.jsonl import select_json_lines
from bazar.ingestion.readers.parquet import select_parquet
from bazar.ingestion.readers.python_literals import select_python_lines
from bazar.ingestion.readers.raw_file import RawFile, check_exists

if TYPE_CHECKING:
    import duckdb

_SELECT = {
    "csv": select_csv,
    "jsonl": select_json_lines,
    "parquet": select_parquet,
    "python": select_python_lines,
}
"""Functions that return the SQL of the records, by format."""


def select_records(file: RawFile, connection: "duckdb.DuckDBPyConnection") -> str:
    """Check a file, and return the SQL that reads its records.

    Files of JSON lines are checked while the query reads them. The query fails with an error that
    :func:`bazar.ingestion.readers.sql.extract_input_error` converts. Other files are checked
    completely by this function.

    Args:
        file: the file.
        connection: the connection that runs the query.

    Returns:
        SQL that selects the columns of
        :func:`bazar.ingestion.readers.raw_file.build_records_schema`, including one row for each
        record that cannot be parsed. Lists are returned as text: as Python literals if the file
        contains those, otherwise as JSON.

    Raises:
        InputError: if the file is missing, empty, truncated or too large, lacks a mapped column,
            or cannot be parsed.
    """
    check_exists(file)
    return _SELECT[file.file_format](file, connection)


def check_file(file: RawFile) -> None:
    """Check a complete file, with a new DuckDB connection.

    Raises:
        InputError: see :func:`select_records`.
    """
    import duckdb

    with duckdb.connect() as connection:
        select_records(file, connection)
    if file.file_format == "jsonl":
        for _ in Lines(file.path, file.name, file.max_rows, file.max_bytes).batches():
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

    with duckdb.connect() as connection:
        yield from connection.execute(select_records(file, connection)).to_arrow_reader()
