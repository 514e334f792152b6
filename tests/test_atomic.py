import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from kedro.io import AbstractDataset, DatasetError

from bazar.atomic import atomic_path, find_saved_path
from bazar.datasets.arrays import ArrayDataset
from bazar.datasets.kedro_types import (
    CSVDataset,
    FigureDataset,
    JSONDataset,
    ParquetDataset,
    TextDataset,
)
from bazar.errors import InputError


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


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        # NumPy's own.
        OSError("31104 requested and 15328 written"),
    ],
)
def test_full_disk_is_explained_and_nothing_is_left(tmp_path: Path, error: OSError) -> None:
    path = tmp_path / "vectors.npy"
    message = f"No space is left on the disk of {path}"
    with pytest.raises(InputError, match=message), atomic_path(path) as temporary:
        temporary.write_text("first part")
        raise error
    assert list_names(tmp_path) == []


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
