"""Lock a data set, so that only one process at a time changes its results."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bazar.atomic import explain_disk_faults
from bazar.errors import InputError

_WAIT_SECONDS = 0.2


@contextmanager
def lock_data_set(project_path: Path, dataset: str) -> Iterator[None]:
    """Lock the results of a data set while the block runs.

    The lock is a lock of the operating system on a file in ``data/.locks``. It ends with the
    process, however the process ends. A file that a killed process left does not block. Commands
    that only read need no lock, because every file is replaced in one step.

    Args:
        project_path: folder of the project.
        dataset: name of the data set.

    Raises:
        InputError: if another process has the lock, with its id and its start, or if ``data/``
            cannot be written.
    """
    path = project_path / "data" / ".locks" / f"{dataset}.lock"
    # Waits for a moment, because a run that is just ending may still have the lock.
    lock = FileLock(path, timeout=_WAIT_SECONDS)
    with explain_disk_faults(path):
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"The data set {dataset!r} is in use by {_read_owner(path)}.\n"
                "Wait until this process has ended, then run again."
            ) from None
    try:
        with explain_disk_faults(path):
            path.write_text(f"process {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
        yield
    finally:
        # A process that already waits for this file opens the new one after it.
        path.unlink(missing_ok=True)
        lock.release()


def _read_owner(path: Path) -> str:
    # The file is empty for a moment after it was locked.
    text = path.read_text() if path.exists() else ""
    return text or "another process"
