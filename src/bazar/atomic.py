"""Save files and folders atomically: a reader finds the earlier version or the complete new one."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bazar.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, and rename it to ``path`` if the block succeeds.

    The temporary file is in the same folder, so the rename is a single step of the file system. A
    reader finds the earlier file or the complete new one, even if the run is killed. If the block
    fails, the temporary file is removed and ``path`` is unchanged.

    The block may create a folder instead. A folder cannot replace another one in a single step, so
    the earlier folder is first renamed to ``.earlier.<name>``. If a run is killed between the two
    steps, both are complete and :func:`find_saved_path` finds the earlier one.

    Args:
        path: the final path. Its folder is created if it is missing.

    Yields:
        A unique path with the same suffixes.

    Raises:
        InputError: if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _make_hidden_path(path)
    try:
        yield temporary
        _sync(temporary)
        _replace(path, temporary)
    except OSError as error:
        if _is_disk_full(error):
            raise InputError(
                f"No space is left on the disk of {path}. Free some space and run the command "
                "again."
            ) from error
        raise
    finally:
        _remove(temporary)


def find_saved_path(path: Path) -> Path:
    """Return ``path``, or the path of the earlier folder if a run was killed while replacing it."""
    earlier = _make_earlier_path(path)
    return path if path.exists() or not earlier.exists() else earlier


class AtomicSave:
    """Mixin for atomic saves of a catalog type that writes to ``self._filepath``."""

    _filepath: PurePosixPath

    def save(self, data: Any) -> None:
        """Save to a temporary file in the same folder, then rename it."""
        final = self._filepath
        try:
            with atomic_path(Path(final)) as temporary:
                self._filepath = PurePosixPath(temporary)
                super().save(data)  # type: ignore[misc]
        finally:
            self._filepath = final


def _replace(path: Path, temporary: Path) -> None:
    """Rename ``temporary`` to ``path``; either may be a folder."""
    earlier = _make_earlier_path(path)
    if path.is_dir() or (temporary.is_dir() and path.exists()):
        _remove(earlier)
        path.rename(earlier)
        try:
            temporary.rename(path)
        except BaseException:
            earlier.rename(path)
            raise
    else:
        temporary.replace(path)
    _remove(earlier)


def _make_earlier_path(path: Path) -> Path:
    return path.with_name(f".earlier.{path.name}")


def _make_hidden_path(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")


def _sync(path: Path) -> None:
    """Flush a file, or all files of a folder, to the disk."""
    for written in path.rglob("*") if path.is_dir() else [path]:
        if not written.is_dir():
            with written.open("rb+") as file:
                os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        # Rename the folder first, so that a reader never finds a partly removed folder.
        hidden = path.rename(_make_hidden_path(path))
        shutil.rmtree(hidden)
    else:
        path.unlink(missing_ok=True)


def _is_disk_full(error: OSError) -> bool:
    # NumPy raises an error without a number: "31104 requested and 15328 written".
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or "requested and" in str(error)
