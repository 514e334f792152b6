"""Saves that never leave a half-written file where a whole one stood."""

import os
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

    Args:
        path: The final path. Its folder is made if it is missing.

    Yields:
        A path with the same suffixes, that nothing else uses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
