"""Save files and folders atomically: a reader finds the earlier version or the complete new one."""

import errno
import os
import re
import resource
import shutil
import tempfile
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
        InputError: if the disk is full, a file becomes too large, or the folder cannot be written.
    """
    temporary = _make_hidden_path(path)
    with explain_disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            _replace(path, temporary)
        finally:
            _remove(temporary)


@contextmanager
def explain_disk_faults(path: Path) -> Iterator[None]:
    """Raise InputError in place of an error that :func:`describe_disk_fault` describes.

    Args:
        path: the path that the block writes.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        message = describe_disk_fault(error, path)
        if message is None:
            raise
        raise InputError(message) from error


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


# Faults of the disk

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FAULTS = (*_FULL, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# The text of DuckDB's error if its temporary folder fills the disk.
_SPILL_LIMIT = "max_temp_directory_size"


def describe_disk_fault(error: BaseException, path: Path | None = None) -> str | None:
    """Describe a full disk, a file that is too large, or a path that cannot be read or written.

    Args:
        error: any error. Its causes are searched, too.
        path: the path that was being written, if it is known.

    Returns:
        One line with the path and what to do; None if the error is of another kind.
    """
    for cause in list_causes(error):
        fault = _find_fault(cause)
        if fault is None:
            continue
        place = _find_place(cause, path)
        if fault in _FULL:
            disk = "the disk" if place is None else f"the disk of {place}"
            return f"No space is left on {disk}. Free some space and run again."
        if place is not None:
            return _describe_denial(fault, place.parent if place == path else place, place)
    return None


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that a traceback shows as its causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        context = None if cause.__suppress_context__ else cause.__context__
        cause = cause.__cause__ or context


def _find_fault(error: BaseException) -> int | None:
    """Return the number of an error of the disk, also from the text of other libraries."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _FAULTS else None
    if isinstance(error, OSError) and "requested and" in text:
        # NumPy gives no reason: "31104 requested and 15328 written".
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return errno.ENOSPC if limit == resource.RLIM_INFINITY else errno.EFBIG
    if _SPILL_LIMIT in text:
        return errno.ENOSPC
    return next((fault for fault in _FAULTS if os.strerror(fault) in text), None)


def _find_place(error: BaseException, path: Path | None) -> Path | None:
    """Return the path that an error names, or ``path`` if it names none or a temporary file."""
    named = getattr(error, "filename", None)
    if not isinstance(error, OSError):
        if _SPILL_LIMIT in str(error):
            return Path(tempfile.gettempdir())
        # DuckDB: Could not write file "/data/a.parquet": No space left on device
        quoted = re.search(r'"(/[^"]+)"', str(error))
        named = quoted.group(1) if quoted is not None else None
    if not isinstance(named, str):
        return path
    found = Path(named)
    return path if path is not None and path.parent in (found, *found.parents) else found


def _describe_denial(fault: int, target: Path, file: Path) -> str:
    """Describe a path that may not be written."""
    if fault == errno.EFBIG:
        return (
            f"{file} is too large: the system limits the size of a file. `ulimit -f` shows the "
            "limit. Raise it and run again."
        )
    while not os.access(target, os.F_OK):
        target = target.parent
    if fault == errno.EROFS:
        folder = target if target.is_dir() else target.parent
        return f"The folder {folder} is on a read-only disk. Make it writable and run again."
    return (
        f"{target} cannot be read or written: permission denied. Change its permissions and run "
        "again."
    )
