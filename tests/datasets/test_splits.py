"""The splits as a folder that is replaced as a unit."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from bazar.data.splits import Splits, split_leave_one_out, split_next_order
from bazar.datasets.splits import SplitsDataset
from tests.data.test_splits import rows_of, sequences_of, split_parts
from tests.models.order_rows import make_order_sequences

FILES = [
    "recent_counts.npy", "split_summary.json", "test.arrow", "train.arrow", "training_counts.npy",
    "validation.arrow",
]  # fmt: skip


def make_splits(lists: list[list[int]], history_length: int = 3) -> Splits:
    splits = split_leave_one_out(sequences_of(lists), 9, history_length)
    return replace(splits, summary={"protocol": "leave_one_out", "users": len(lists)})


def make_dataset(folder: Path) -> SplitsDataset:
    return SplitsDataset(filepath=str(folder / "splits"))


def test_splits_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    assert not dataset.exists()
    # The second store has users with two purchases only: two parts are empty.
    for lists in ([[1, 2, 3, 4, 5], [6, 7]], [[1, 2], [3, 4]]):
        splits = make_splits(lists)
        dataset.save(splits)
        loaded = dataset.load()
        for part, expected in zip(split_parts(loaded), split_parts(splits), strict=True):
            assert rows_of(part) == rows_of(expected)
            assert part.history_length == 3
        for name in ("training_counts", "recent_counts"):
            counts = getattr(loaded, name)
            assert counts.dtype == np.int64
            np.testing.assert_array_equal(counts, getattr(splits, name))
        assert loaded.summary == {"protocol": "leave_one_out", "users": len(lists)}
    assert dataset.exists()
    assert sorted(path.name for path in (tmp_path / "splits").iterdir()) == FILES


def test_parts_are_memory_mapped(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_splits([[1, 2] * 20_000], history_length=500))
    before = pa.total_allocated_bytes()
    train = dataset.load().train
    assert pa.total_allocated_bytes() - before < train.target_positions.nbytes / 10
    for array in (train.target_positions, train.sequences.items, train.sequences.starts):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_loaded_rows_stay_readable_when_the_folder_is_replaced(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_splits([[1, 2, 3, 4, 5]]))
    loaded = dataset.load()
    rows = [rows_of(part) for part in split_parts(loaded)]
    dataset.save(make_splits([[9, 8, 7, 6], [7, 6, 5]]))
    assert [rows_of(part) for part in split_parts(loaded)] == rows
    assert rows_of(dataset.load().train) == [("u000", [9], 8, [9])]
    # Nothing of the earlier folder is left.
    assert [path.name for path in tmp_path.iterdir()] == ["splits"]


def test_failed_save_leaves_all_earlier_files(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_splits([[1, 2, 3, 4, 5]]))
    before = {path.name: path.read_bytes() for path in (tmp_path / "splits").iterdir()}
    # The summary is the last file that is written.
    with pytest.raises(DatasetError, match="not JSON serializable"):
        dataset.save(replace(make_splits([[9, 8, 7, 6]]), summary={"users": object()}))
    assert {path.name: path.read_bytes() for path in (tmp_path / "splits").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["splits"]


def test_earlier_folder_is_found_after_a_kill_between_both_renames(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_splits([[1, 2, 3, 4, 5]]))
    expected = rows_of(dataset.load().train)
    # A save first renames the earlier folder, then the new one.
    (tmp_path / "splits").rename(tmp_path / ".earlier.splits")
    assert dataset.exists()
    assert rows_of(dataset.load().train) == expected
    dataset.save(make_splits([[9, 8, 7, 6]]))
    assert rows_of(dataset.load().train) == [("u000", [9], 8, [9])]
    assert [path.name for path in tmp_path.iterdir()] == ["splits"]


def test_missing_file_is_reported(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"train\.arrow"):
        dataset.load()
    dataset.save(make_splits([[1, 2, 3, 4, 5]]))
    (tmp_path / "splits" / "test.arrow").unlink()
    with pytest.raises(DatasetError, match=r"test\.arrow"):
        dataset.load()
    shutil.rmtree(tmp_path / "splits")
    assert not dataset.exists()


def test_files_do_not_grow_with_the_history_length(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    sizes = []
    for length in (1, 1000):
        dataset.save(make_splits([[1, 2] * 1000], length))
        sizes.append((tmp_path / "splits" / "train.arrow").stat().st_size)
    assert sizes[0] == sizes[1]


def test_preview_shows_test_rows(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.save(make_splits([[1, 2, 3], [4, 5]], 4))
    assert dataset.preview(nrows=1) == {
        "index": [0],
        "columns": ["user_id", "history", "targets"],
        "data": [["u000", "1 2", "3"]],
    }


def test_orders_and_times_are_kept(tmp_path: Path) -> None:
    sequences = make_order_sequences([[[1, 2], [3], [4], [1, 5]]] * 2, [[0, 1, 2, 3], [0, 2, 4, 6]])
    dataset = make_dataset(tmp_path)
    dataset.save(split_next_order(sequences, 5, 3))
    test = dataset.load().test
    for name in ("items", "orders", "timestamps"):
        np.testing.assert_array_equal(
            getattr(test.sequences, name), getattr(sequences, name), strict=True
        )
    assert test.n_targets.tolist() == [2, 2]
    assert dataset.preview(nrows=1)["data"] == [["u0", "1 2 3 4", "1 5"]]
