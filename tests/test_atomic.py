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

from bazar.atomic import atomic_path, latest
from bazar.datasets.arrays import ArrayDataset
from bazar.datasets.kedro_types import (
    CSVDataset,
    FigureDataset,
    JSONDataset,
    ParquetDataset,
    TextDataset,
)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.parquet"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".parquet"
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert leftovers(path.parent) == ["table.parquet"]


def test_a_failed_save_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with pytest.raises(OSError, match="disk"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "earlier"
    assert leftovers(tmp_path) == ["table.csv"]


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
def test_every_type_keeps_the_earlier_file(
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
    assert leftovers(tmp_path) == ["file.dat"]
    # The entry still knows its own path.
    entry.save(good)
    assert leftovers(tmp_path) == ["file.dat"]


KILLED_IN_A_SAVE = """
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


def test_a_run_killed_in_a_save_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    entry = ArrayDataset(filepath=str(path))
    entry.save(np.arange(5))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_A_SAVE, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    half_written = [name for name in leftovers(tmp_path) if name != "vectors.npy"]
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL

    assert len(half_written) == 1
    assert entry.load().tolist() == [0, 1, 2, 3, 4]
    entry.save(np.arange(3))
    assert entry.load().tolist() == [0, 1, 2]


def write(path: Path, *parts: str) -> None:
    """A folder with these part files, or a file if there are none, saved atomically."""
    with atomic_path(path) as temporary:
        if not parts:
            temporary.write_text("file")
            return
        temporary.mkdir()
        for part in parts:
            (temporary / part).write_text(part)


@pytest.mark.parametrize("earlier", [(), ("1", "2")])
@pytest.mark.parametrize("later", [(), ("3",)])
def test_files_and_folders_take_each_others_place(
    earlier: tuple[str, ...], later: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    write(path, *earlier)
    write(path, *later)
    assert leftovers(tmp_path) == ["table.parquet"]
    assert tuple(leftovers(path) if path.is_dir() else ()) == later
    assert latest(path) == path


def test_a_failed_save_leaves_the_earlier_folder(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write(path, "1", "2")
    with pytest.raises(OSError, match="disk"), atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "3").write_text("half")
        raise OSError("disk full")
    assert leftovers(path) == ["1", "2"]
    assert leftovers(tmp_path) == ["table.parquet"]


KILLED_IN_A_SWAP = """
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
def test_a_run_killed_in_a_swap_leaves_a_whole_folder(
    renames: int, found: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "table.parquet"
    write(path, "1", "2")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_A_SWAP, str(path), str(renames)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"killed now\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL

    assert leftovers(latest(path)) == found
    assert path.exists() == (renames != 1)
    write(path, "4")
    assert leftovers(latest(path)) == ["4"]
    assert latest(path) == path
    assert not path.with_name(".earlier.table.parquet").exists()
