"""The place of a file that a node writes while it works."""

from pathlib import Path, PurePosixPath
from typing import Any, Never

from kedro.io import AbstractDataset, DatasetError


class PathDataset(AbstractDataset):
    """Where a node keeps a file that it reads and writes while it works, such as a database."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the file; it need not exist."""
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """Return the place, whether or not there is a file."""
        return Path(self._filepath)

    def save(self, data: Never) -> None:
        """Refuse: the file is written while the node works.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{self._filepath} is written by the node that is given its place")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
