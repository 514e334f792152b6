"""Saves that never leave a half-written file, or folder, where a whole one stood."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, and put it in its place when the block succeeds.

    The temporary file is in the same folder, so that the rename is one step of the file
    system: a reader, or a run killed at any moment, finds the earlier file or the new one,
    whole. If the block fails, the temporary file is removed and ``path`` is untouched.

    The block may make a folder instead. No file system puts a folder over another in one step:
    the earlier one is put aside first. A run killed right then leaves both whole, and
    :func:`latest` finds the earlier one.

    Args:
        path: The final path. Its folder is made if it is missing.

    Yields:
        A path with the same suffixes, that nothing else uses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(path)
    try:
        yield temporary
        _sync(temporary)
        _put_in_place(temporary, path)
    finally:
        _remove(temporary)


def latest(path: Path) -> Path:
    """The path, or where a run that was killed in :func:`atomic_path` left what stood there."""
    return path if path.exists() or not _aside(path).exists() else _aside(path)


class AtomicSave:
    """Mixin for a catalog type that writes to ``self._filepath``: its saves become atomic."""

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


def _put_in_place(temporary: Path, path: Path) -> None:
    aside = _aside(path)
    if path.is_dir() or (temporary.is_dir() and path.exists()):
        _remove(aside)
        path.rename(aside)
        try:
            temporary.rename(path)
        except BaseException:
            aside.rename(path)
            raise
    else:
        temporary.replace(path)
    _remove(aside)


def _aside(path: Path) -> Path:
    return path.with_name(f".earlier.{path.name}")


def _hidden(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")


def _sync(path: Path) -> None:
    for written in path.rglob("*") if path.is_dir() else [path]:
        if not written.is_dir():
            with written.open("rb+") as file:
                os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        # Renamed first: half a folder is never found under a name that is looked for.
        gone = path.rename(_hidden(path))
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)
