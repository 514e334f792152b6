"""Results that are saved one by one while a node makes them."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset

from bazar.atomic import atomic_path


class JSONFolderDataset(AbstractDataset):
    """A folder of JSON files by their names without suffix; no folder yet means none.

    A save adds files and replaces those of the same name: a node that yields what it has made, a
    file at a time, keeps it when it is interrupted.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the folder; it need not exist."""
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return what each file holds, in the order of the names."""
        # Hidden files are what interrupted saves left.
        files = sorted(Path(self._filepath).glob("[!.]*.json"))
        return {file.stem: json.loads(file.read_text()) for file in files}

    def save(self, data: dict[str, Any]) -> None:
        """Write a file for each name."""
        for name, content in data.items():
            with atomic_path(Path(self._filepath) / f"{name}.json") as temporary:
                temporary.write_text(json.dumps(content, indent=2))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return Path(self._filepath).is_dir()
