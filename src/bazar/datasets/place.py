"""The place of a file that is written by a library of its own."""

from pathlib import Path, PurePosixPath
from typing import Any, Never

from kedro.io import AbstractDataset


class PlaceDataset(AbstractDataset):
    """Where a node keeps a file that a library reads and writes bit by bit, such as a database."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the file; it need not exist."""
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """Return the place, whether or not there is a file."""
        return Path(self._filepath)

    def save(self, data: Never) -> None:
        """Refuse: it is written bit by bit, not by a save."""
        raise NotImplementedError("this file is written by the node that is given its place")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
