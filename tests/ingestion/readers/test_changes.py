"""A file that changes while it is read raises an error."""

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bazar.errors import InputError
from bazar.ingestion.readers.records import read_batches, select_records
from bazar.ingestion.readers.sql import query_column
from tests.ingestion.readers.reading import make_file

LINE = '{"user": "u", "item": "a", "time": 1}'
MESSAGE = r"changed while it was read\. Run again when the export has finished"


def write(path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"user": ["u"], "item": ["a"], "time": [1]}), path)
    else:
        path.write_text(
            {".csv": "user,item,time\nu,a,1\n", ".json": f"[{LINE}]"}.get(path.suffix, LINE)
        )


@pytest.mark.parametrize("name", ["orders.csv", "orders.json", "orders.jsonl", "orders.parquet"])
def test_change_between_check_and_end_raises(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path)
    with duckdb.connect() as connection:
        sql = select_records(make_file(path), connection)
        assert query_column(connection, f"SELECT count(*) FROM ({sql})") == [1]
        os.utime(path, ns=(1, 1))
        with pytest.raises(InputError, match=MESSAGE):
            query_column(connection, f"CREATE TEMP TABLE found AS {sql}")


def test_change_while_a_worker_reads_raises(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(f"{LINE}\n" * 200_000)
    batches = read_batches(make_file(path))
    next(batches)
    with path.open("a") as file:
        file.write(LINE)
    with pytest.raises(Exception, match=MESSAGE):
        list(batches)
