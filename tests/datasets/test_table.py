"""Tables of any size as Parquet files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from bazar.datasets.table import BatchesDataset, TableDataset, TablesDataset

SCHEMA = pa.schema([("row", pa.int64())])
CONNECTION = {"backend": "duckdb", "database": ":memory:"}


def make_batches_dataset(path: Path) -> BatchesDataset:
    return BatchesDataset(
        filepath=str(path), file_format="parquet", connection={"backend": "duckdb"}
    )


def make_reader(n_batches: int, rows: int, fails: bool = False) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in range(n_batches):
            values = range(batch * rows, (batch + 1) * rows)
            yield pa.record_batch([pa.array(values, pa.int64())], SCHEMA)
        if fails:
            raise ValueError("the last batch is invalid")

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def test_small_batches_become_few_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    make_batches_dataset(path).save(lambda: make_reader(250, 1_000))
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_table(path)["row"].to_pylist() == list(range(250_000))


def test_no_batches_become_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    make_batches_dataset(path).save(lambda: make_reader(0, 1))
    assert pq.read_table(path).schema == SCHEMA


def test_failed_batch_leaves_the_earlier_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    make_batches_dataset(path).save(lambda: make_reader(2, 10))
    with pytest.raises(DatasetError, match="batch is invalid"):
        make_batches_dataset(path).save(lambda: make_reader(3, 10, fails=True))
    assert pq.read_table(path).num_rows == 20
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]


def test_tables_of_one_connection_can_be_joined(tmp_path: Path) -> None:
    first = TableDataset(filepath=str(tmp_path / "first.parquet"), connection=CONNECTION)
    second = TableDataset(filepath=str(tmp_path / "second.parquet"), connection=CONNECTION)
    rows = {"item_id": ["01", "02"], "n": [1, 2]}
    first.save(first.connection.create_table("rows", rows, temp=True))
    table = first.load()
    second.save(table.filter(table.n == 2))
    assert first.preview(nrows=1) == {
        "index": [0], "columns": ["item_id", "n"], "data": [["01", "1"]],
    }  # fmt: skip
    joined = first.load().join(second.load(), "item_id").to_pandas()
    assert joined["item_id"].tolist() == ["02"]


def make_tables_dataset(folder: Path, *tables: str) -> TablesDataset:
    return TablesDataset(
        filepath=str(folder / "summary"), tables=list(tables), connection=CONNECTION
    )


def test_related_tables_are_in_one_folder(tmp_path: Path) -> None:
    dataset = make_tables_dataset(tmp_path, "rejects", "counts")
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"rejects\.parquet"):
        {name: table.to_pandas() for name, table in dataset.load().items()}
    connection = TableDataset(filepath="unused.parquet", connection=CONNECTION).connection
    rejects = connection.create_table("some_rejects", {"reason": ["broken JSON"]}, temp=True)
    counts = connection.create_table("some_counts", {"rows": [3, 4]}, temp=True)
    dataset.save({"counts": counts, "rejects": rejects})
    assert dataset.exists()
    assert sorted(path.name for path in (tmp_path / "summary").iterdir()) == [
        "counts.parquet", "rejects.parquet",
    ]  # fmt: skip
    loaded = dataset.load()
    assert list(loaded) == ["rejects", "counts"]
    assert loaded["counts"].to_pandas()["rows"].tolist() == [3, 4]
    # The tables share a connection.
    assert loaded["rejects"].cross_join(loaded["counts"]).count().execute() == 2
    assert dataset.preview(nrows=1)["data"] == [["broken JSON"]]


@pytest.mark.parametrize("names", [["rejects"], ["rejects", "counts", "others"]])
def test_tables_must_be_those_of_the_catalog_entry(tmp_path: Path, names: list[str]) -> None:
    dataset = make_tables_dataset(tmp_path, "rejects", "counts")
    connection = TableDataset(filepath="unused.parquet", connection=CONNECTION).connection
    table = connection.create_table(f"some_{len(names)}_rows", {"reason": ["x"]}, temp=True)
    with pytest.raises(DatasetError, match=f"have the tables rejects, counts, found {names[0]}"):
        dataset.save(dict.fromkeys(names, table))
    assert list(tmp_path.iterdir()) == []
