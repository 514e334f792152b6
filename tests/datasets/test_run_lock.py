"""The lock of a data set, held by real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bazar.datasets.run_lock import lock_data_set
from bazar.errors import InputError
from tests.project import limit_file_size

LOCK = """
import sys
from pathlib import Path
from bazar.datasets.run_lock import lock_data_set

with lock_data_set(Path(sys.argv[1]), "shop"):
    print("locked", flush=True)
    sys.stdin.readline()
"""


def list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def locked_by_another_process(project: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(project)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_data_set_is_locked_by_one_process(tmp_path: Path) -> None:
    lock_file = tmp_path / "data" / ".locks" / "shop.lock"
    with locked_by_another_process(tmp_path) as process:
        message = (
            rf"The data set 'shop' is in use by process {process.pid} since "
            r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d.\nWait until this process has ended"
        )
        for _ in range(2):
            with pytest.raises(InputError, match=message), lock_data_set(tmp_path, "shop"):
                pass
        with lock_data_set(tmp_path, "other"):
            pass
        process.communicate("go\n")
    assert not lock_file.exists()
    with lock_data_set(tmp_path, "shop"):
        pass
    assert list_names(lock_file.parent) == []


def test_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    with locked_by_another_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list_names(tmp_path / "data" / ".locks") == ["shop.lock"]
        with lock_data_set(tmp_path, "shop"):
            pass
    assert list_names(tmp_path / "data" / ".locks") == []


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock_data_set(tmp_path, "shop"):
        raise ZeroDivisionError
    with lock_data_set(tmp_path, "shop"):
        pass


def test_lock_is_released_when_its_file_cannot_be_written(tmp_path: Path) -> None:
    with (
        limit_file_size(0),
        pytest.raises(InputError, match="too large") as kept,
        lock_data_set(tmp_path, "shop"),
    ):
        pass
    assert list_names(tmp_path / "data" / ".locks") == []
    # The error still holds the frame in which the lock was acquired.
    assert kept.value.__traceback__ is not None
    with lock_data_set(tmp_path, "shop"):
        pass
