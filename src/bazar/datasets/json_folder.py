"""Catalog type of JSON files in a folder, which a node saves one by one."""

import json
from pathlib import Path
from typing import Any

from bazar.atomic import atomic_path
from bazar.datasets.local import LocalDataset


class JSONFolderDataset(LocalDataset):
    """A folder of JSON files, as a dictionary by file name without suffix. It may be missing.

    A save adds files and replaces files of the same name. If a node yields one result at a time,
    the finished results are kept when it is interrupted.
    """

    def load(self) -> dict[str, Any]:
        """Return the content of each file, sorted by name."""
        # Interrupted saves leave hidden files.
        files = sorted(Path(self._filepath).glob("[!.]*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}

    def save(self, data: dict[str, Any]) -> None:
        """Write one file per name."""
        for name, content in data.items():
            with atomic_path(Path(self._filepath) / f"{name}.json") as temporary:
                temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
