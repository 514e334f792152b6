"""The temporary folder that DuckDB spills large tables to."""

import atexit
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path

from filelock import FileLock

_PREFIX = "bazar-"
_WAIT_SECONDS = 10


@cache
def make_spill_folder() -> Path:
    """Return the temporary folder of this process, which only its user can read.

    DuckDB gives its files equal names in every process, so that processes cannot share a folder.
    The folder is made at the first call and removed when the process ends. A killed process leaves
    its folder. The next process removes it.

    Returns:
        A folder in the system's temporary folder, which TMPDIR sets.
    """
    parent = Path(tempfile.gettempdir())
    _remove_leftovers(parent)
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    # The lock exists before the folder, so that no other process takes the folder for a leftover.
    lock = FileLock(_make_lock_path(folder), timeout=_WAIT_SECONDS)
    lock.acquire()
    folder.mkdir(mode=0o700)
    atexit.register(_remove, folder, lock)
    return folder


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of processes that have ended."""
    for path in parent.glob(f"{_PREFIX}*.lock"):
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except OSError:
            # Its process is running, or it belongs to another user.
            continue
        _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _make_lock_path(folder).unlink(missing_ok=True)
    lock.release()


def _make_lock_path(folder: Path) -> Path:
    return folder.with_suffix(".lock")
