import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ibis
import ibis.expr.types as ir
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from kedro.io import AbstractDataset, DatasetError

from bazar.atomic import atomic_path, describe_disk_fault, find_saved_path, list_causes
from bazar.datasets.arrays import ArrayDataset
from bazar.datasets.kedro_types import (
    CSVDataset,
    FigureDataset,
    JSONDataset,
    ParquetDataset,
    TextDataset,
)
from bazar.datasets.table import BatchesDataset, TableDataset
from bazar.errors import InputError
from tests.project import limit_file_size, make_read_only, mount_disk


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.parquet"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".parquet"
        temporary.write_text("first part")
        assert not path.exists()
        temporary.write_text("complete")
    assert path.read_text() == "complete"
    assert list_names(path.parent) == ["table.parquet"]


def test_failed_save_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with pytest.raises(OSError, match="disk"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "earlier"
    assert list_names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize(
    ("dataset", "good", "bad"),
    [
        (JSONDataset, {"a": 1}, {"a": object()}),
        (CSVDataset, pd.DataFrame({"a": [1]}), object()),
        (ParquetDataset, pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [object()]})),
        (TextDataset, "good", object()),
        (ArrayDataset, np.arange(3), np.array([object()])),
        (FigureDataset, matplotlib.figure.Figure(), object()),
    ],
)
def test_failed_save_of_every_catalog_type_keeps_the_earlier_file(
    dataset: type[AbstractDataset], good: object, bad: object, tmp_path: Path
) -> None:
    path = tmp_path / "file.dat"
    arguments = {"save_args": {"format": "png"}} if dataset is FigureDataset else {}
    entry = dataset(filepath=str(path), **arguments)
    entry.save(good)
    before = path.read_bytes()
    assert before
    with pytest.raises(DatasetError):
        entry.save(bad)
    assert path.read_bytes() == before
    assert list_names(tmp_path) == ["file.dat"]
    # The catalog type still has its own path.
    entry.save(good)
    assert list_names(tmp_path) == ["file.dat"]


def make_table() -> ir.Table:
    return ibis.memtable({"a": np.random.default_rng(0).random(60_000)})


CONNECTION = {"backend": "duckdb", "database": ":memory:"}
# Catalog types, each with data of about 500 kB: DuckDB, Arrow, pandas, NumPy and Python write them.
LARGE = {
    "table.parquet": (
        lambda path: TableDataset(filepath=path, file_format="parquet", connection=CONNECTION),
        make_table,
    ),
    "batches.parquet": (
        lambda path: BatchesDataset(filepath=path, file_format="parquet", connection=CONNECTION),
        lambda: make_table().to_pyarrow_batches,
    ),
    "frame.parquet": (
        lambda path: ParquetDataset(filepath=path),
        lambda: make_table().to_pandas(),
    ),
    "frame.csv": (lambda path: CSVDataset(filepath=path), lambda: make_table().to_pandas()),
    "array.npy": (lambda path: ArrayDataset(filepath=path), lambda: np.arange(60_000)),
    "numbers.json": (lambda path: JSONDataset(filepath=path), lambda: list(range(60_000))),
    "page.txt": (lambda path: TextDataset(filepath=path), lambda: "text" * 120_000),
}


def assert_fault(path: Path, save: Callable[[], None], message: str) -> None:
    """Check the message of a save that fails, and that nothing else has changed."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises((DatasetError, InputError)) as caught:
        save()
    explained = [error for error in list_causes(caught.value) if isinstance(error, InputError)]
    assert [str(error) for error in explained] == [message]
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("fault", ["full", "limit"])
def test_fault_of_the_disk_is_explained_and_nothing_is_left(
    fault: str, name: str, tmp_path: Path
) -> None:
    make_dataset, make_data = LARGE[name]
    path, data = tmp_path / name, make_data()
    entry = make_dataset(str(path))
    if fault == "limit":
        path.write_text("earlier")
        with limit_file_size(100_000):
            assert_fault(
                path,
                lambda: entry.save(data),
                f"{path} is too large: the system limits the size of a file. `ulimit -f` shows "
                "the limit. Raise it and run again.",
            )
        return
    with mount_disk(tmp_path, "400k"):
        path.write_text("earlier")
        assert_fault(
            path,
            lambda: entry.save(data),
            f"No space is left on the disk of {path}. Free some space and run again.",
        )


def test_full_disk_is_found_when_a_network_or_a_checkpoint_is_saved(tmp_path: Path) -> None:
    # Only this test needs TensorFlow.
    import keras

    from bazar.training.checkpoints import Checkpoint

    network = keras.Sequential([keras.Input((300,)), keras.layers.Dense(300)])
    path = tmp_path / "classifier.keras"

    def save_network() -> None:
        with atomic_path(path) as temporary:
            network.save(temporary)

    checkpoint = Checkpoint(tmp_path / "classifier_checkpoint.npz")
    message = "No space is left on the disk of {}. Free some space and run again."
    with mount_disk(tmp_path, "300k"):
        checkpoint.save("fingerprint", [np.arange(100)], {"epoch": 1})
        assert_fault(path, save_network, message.format(path))
        assert_fault(
            path,
            lambda: checkpoint.save("fingerprint", [np.arange(90_000)], {"epoch": 2}),
            message.format(checkpoint._path),
        )


def test_read_only_disk_is_explained(tmp_path: Path) -> None:
    with mount_disk(tmp_path, "400k"):
        (tmp_path / "earlier").mkdir()
        make_read_only(tmp_path)
        for folder in ("earlier", "new/folder"):
            existing = tmp_path / "earlier" if folder == "earlier" else tmp_path
            for name, (make_dataset, make_data) in LARGE.items():
                path = tmp_path / folder / name
                with pytest.raises((DatasetError, InputError)) as caught:
                    make_dataset(str(path)).save(make_data())
                message = (
                    f"The folder {existing} is on a read-only disk. Make it writable and run again."
                )
                assert message in map(str, list_causes(caught.value)), name


@pytest.mark.parametrize(
    ("error", "path", "message"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/no/folder/.12345678.a.csv"),
            "/no/folder/a.csv",
            "/ cannot be read or written: permission denied. Change its permissions and run again.",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "/no/a.csv",
            "No space is left on the disk of /no/a.csv. Free some space and run again.",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/other/a.csv"),
            "/no/a.csv",
            "No space is left on the disk of /other/a.csv. Free some space and run again.",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            None,
            "No space is left on the disk. Free some space and run again.",
        ),
        # Without a path, the message would be no help.
        (PermissionError(errno.EACCES, "Permission denied"), None, None),
        (FileNotFoundError(errno.ENOENT, "No such file", "/no/a.csv"), "/no/a.csv", None),
        (ValueError("requested and"), "/no/a.csv", None),
    ],
)
def test_faults_are_described_with_their_path(
    error: Exception, path: str | None, message: str | None
) -> None:
    assert describe_disk_fault(error, None if path is None else Path(path)) == message


def test_unrelated_error_during_a_full_disk_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.csv"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise ZeroDivisionError from None


KILLED_WHILE_SAVING = """
import sys, time
from bazar.datasets.arrays import _ArrayFile, ArrayDataset
import numpy as np

def slow(self, data):
    with open(str(self._filepath), "wb") as file:
        file.write(b"half of a file")
        file.flush()
        print("writing", flush=True)
        time.sleep(60)

_ArrayFile.save = slow
ArrayDataset(filepath=sys.argv[1]).save(np.zeros(9))
"""


def test_run_killed_while_saving_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    entry = ArrayDataset(filepath=str(path))
    entry.save(np.arange(5))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_SAVING, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    half_written = [name for name in list_names(tmp_path) if name != "vectors.npy"]
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL

    assert len(half_written) == 1
    assert entry.load().tolist() == [0, 1, 2, 3, 4]
    entry.save(np.arange(3))
    assert entry.load().tolist() == [0, 1, 2]


def save(path: Path, *parts: str) -> None:
    """Save a folder with these files atomically, or a file if there are none."""
    with atomic_path(path) as temporary:
        if not parts:
            temporary.write_text("file")
            return
        temporary.mkdir()
        for part in parts:
            (temporary / part).write_text(part)


@pytest.mark.parametrize("earlier", [(), ("1", "2")])
@pytest.mark.parametrize("later", [(), ("3",)])
def test_files_and_folders_replace_each_other(
    earlier: tuple[str, ...], later: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    save(path, *earlier)
    save(path, *later)
    assert list_names(tmp_path) == ["table.parquet"]
    assert tuple(list_names(path) if path.is_dir() else ()) == later
    assert find_saved_path(path) == path


def test_failed_save_keeps_the_earlier_folder(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    save(path, "1", "2")
    with pytest.raises(OSError, match="disk"), atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "3").write_text("half")
        raise OSError("disk full")
    assert list_names(path) == ["1", "2"]
    assert list_names(tmp_path) == ["table.parquet"]


KILLED_WHILE_REPLACING = """
import sys, time
from pathlib import Path
from bazar.atomic import atomic_path

renamed = 0
rename = Path.rename

def slow(self, target):
    global renamed
    if renamed == int(sys.argv[2]):
        print("killed now", flush=True)
        time.sleep(60)
    renamed += 1
    return rename(self, target)

Path.rename = slow
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.mkdir()
    (temporary / "3").write_text("3")
"""


@pytest.mark.parametrize(
    ("renames", "found"),
    [(0, ["1", "2"]), (1, ["1", "2"]), (2, ["3"])],
    ids=["before", "between", "after"],
)
def test_run_killed_while_replacing_a_folder_keeps_a_complete_one(
    renames: int, found: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    save(path, "1", "2")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_REPLACING, str(path), str(renames)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"killed now\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL

    assert list_names(find_saved_path(path)) == found
    assert path.exists() == (renames != 1)
    save(path, "4")
    assert list_names(find_saved_path(path)) == ["4"]
    assert find_saved_path(path) == path
    assert not path.with_name(".earlier.table.parquet").exists()
