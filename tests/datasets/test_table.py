"""Tables that are written as they are made."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from bazar.datasets.table import BatchesDataset

SCHEMA = pa.schema([("row", pa.int64())])


def dataset(path: Path) -> BatchesDataset:
    return BatchesDataset(
        filepath=str(path), file_format="parquet", connection={"backend": "duckdb"}
    )


def reader(n_batches: int, rows: int, fails: bool = False) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for place in range(n_batches):
            values = range(place * rows, (place + 1) * rows)
            yield pa.record_batch([pa.array(values, pa.int64())], SCHEMA)
        if fails:
            raise ValueError("the last batch cannot be made")

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def test_small_batches_become_few_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    dataset(path).save(lambda: reader(250, 1_000))
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_table(path)["row"].to_pylist() == list(range(250_000))


def test_no_row_is_a_table_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    dataset(path).save(lambda: reader(0, 1))
    assert pq.read_table(path).schema == SCHEMA


def test_the_earlier_table_survives_rows_that_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    dataset(path).save(lambda: reader(2, 10))
    with pytest.raises(DatasetError, match="cannot be made"):
        dataset(path).save(lambda: reader(3, 10, fails=True))
    assert pq.read_table(path).num_rows == 20
