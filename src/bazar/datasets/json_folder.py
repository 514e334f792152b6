"""Results that are saved one by one while a node computes them."""

import json
from pathlib import Path
from typing import Any

from bazar.atomic import atomic_path
from bazar.datasets.local import LocalDataset


class JSONFolderDataset(LocalDataset):
    """A folder of JSON files, named without their suffix. A missing folder means no files.

    A save adds files and replaces those of the same name. A node that yields one result at a time
    keeps the finished results when it is interrupted.
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
