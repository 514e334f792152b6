"""Base class of catalog types that store local files."""

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset


class LocalDataset(AbstractDataset):
    """A local file or folder at ``filepath``. It may be missing."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Store the path.

        Args:
            filepath: path of the file or folder.
            metadata: metadata for Kedro-Viz.
        """
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return Path(self._filepath).exists()
