from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from bazar.data.splits import leave_one_out
from bazar.data.title_embeddings import EMPTY
from bazar.datasets.arrays import ArrayDataset, TitleVectorsDataset, WindowsDataset
from bazar.datasets.network import NetworkDataset
from bazar.datasets.table import TableDataset
from bazar.models.networks.files import settle_checksum
from tests.data.test_splits import rows_of, sequences_of


def test_windows_round_trip(tmp_path: Path) -> None:
    split = leave_one_out(sequences_of([[1, 2, 3, 4, 5], [6, 7]]), 9, history_length=3)
    entry = WindowsDataset(filepath=str(tmp_path / "test.arrow"))
    assert not entry.exists()
    for windows in (split.test, split.train, split.train.rows(0, 0)):
        entry.save(windows)
        again = entry.load()
        assert rows_of(again) == rows_of(windows)
        assert again.history_length == 3
    assert entry.exists()


def test_windows_are_memory_mapped(tmp_path: Path) -> None:
    split = leave_one_out(sequences_of([[1, 2] * 20_000]), 9, history_length=500)
    entry = WindowsDataset(filepath=str(tmp_path / "train.arrow"))
    entry.save(split.train)
    before = pa.total_allocated_bytes()
    again = entry.load()
    assert pa.total_allocated_bytes() - before < again.target_positions.nbytes / 10
    for array in (again.target_positions, again.sequences.items, again.sequences.starts):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_rows_and_their_sequences_are_in_one_file(tmp_path: Path) -> None:
    one, two = (
        WindowsDataset(filepath=str(tmp_path / name)) for name in ("train.arrow", "test.arrow")
    )
    one.save(leave_one_out(sequences_of([[1, 2, 3, 4, 5]]), 9, 3).train)
    loaded, rows = one.load(), rows_of(one.load())
    # The same file, written anew while it is read, and another part of more data beside it.
    two.save(leave_one_out(sequences_of([[9, 8], [7, 6, 5]]), 9, 3).test)
    one.save(leave_one_out(sequences_of([[9, 8, 7, 6]]), 9, 3).train)
    assert rows_of(loaded) == rows
    assert rows_of(one.load()) == [("u000", [9], 8, [9])]


def test_files_of_rows_hold_no_histories(tmp_path: Path) -> None:
    entry = WindowsDataset(filepath=str(tmp_path / "train.arrow"))
    sizes = []
    for length in (1, 1000):
        entry.save(leave_one_out(sequences_of([[1, 2] * 1000]), 9, length).train)
        sizes.append((tmp_path / "train.arrow").stat().st_size)
    assert sizes[0] == sizes[1]


def test_windows_preview(tmp_path: Path) -> None:
    entry = WindowsDataset(filepath=str(tmp_path / "test.arrow"))
    entry.save(leave_one_out(sequences_of([[1, 2, 3], [4, 5]]), 9, 4).test)
    assert entry.preview(nrows=1) == {
        "index": [0],
        "columns": ["user_id", "history", "target"],
        "data": [["u000", "1 2", 3]],
    }


def test_arrays_run_no_code(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="allow_pickle=False"):
        ArrayDataset(filepath=str(path)).load()


def test_no_title_vectors_yet(tmp_path: Path) -> None:
    entry = TitleVectorsDataset(filepath=str(tmp_path / "title_vectors.parquet"))
    assert entry.load().equals(EMPTY)
    rows = pa.table({"encoder": ["e"], "text": ["t"], "vector": [[0.5, 1.0]]}, schema=EMPTY.schema)
    entry.save(rows)
    assert entry.load().equals(rows)
    entry.save(rows.rename_columns(["encoder", "title", "vector"]))
    assert entry.load().equals(rows)


def test_network_round_trip(tmp_path: Path) -> None:
    history = keras.Input((None,), dtype="int32")
    states = keras.layers.GRU(4)(keras.layers.Embedding(9, 3, mask_zero=True)(history))
    network = keras.Model(history, keras.layers.Dense(9)(states))
    entry = NetworkDataset(filepath=str(tmp_path / "model.keras"))
    entry.save(network)
    rows = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    np.testing.assert_array_equal(entry.load()(rows), network(rows))


def test_a_network_that_carries_code_is_refused(tmp_path: Path) -> None:
    history = keras.Input((3,))
    network = keras.Model(history, keras.layers.Lambda(lambda x: x)(history))
    path = tmp_path / "model.keras"
    network.save(path)
    settle_checksum(path)
    with pytest.raises(DatasetError, match=r"safe_mode|Lambda|lambda"):
        NetworkDataset(filepath=str(path)).load()


def test_table_preview_and_shared_connection(tmp_path: Path) -> None:
    connection = {"backend": "duckdb", "database": ":memory:"}
    one = TableDataset(filepath=str(tmp_path / "one.parquet"), connection=connection)
    two = TableDataset(filepath=str(tmp_path / "two.parquet"), connection=connection)
    rows = one.connection.create_table("rows", {"item_id": ["01", "02"], "n": [1, 2]}, temp=True)
    one.save(rows)
    table = one.load()
    two.save(table.filter(table.n == 2))
    assert one.preview(nrows=1) == {
        "index": [0], "columns": ["item_id", "n"], "data": [["01", "1"]],
    }  # fmt: skip
    joined = one.load().join(two.load(), "item_id").to_pandas()
    assert joined["item_id"].tolist() == ["02"]
