"""Trained networks as ``.keras`` files."""

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset

from bazar.atomic import atomic_path
from bazar.models.networks.files import load_network, save_network, settle_checksum
from bazar.models.networks.recurrent import RecurrentNetwork


class NetworkDataset(AbstractDataset):
    """A network in a ``.keras`` file, replaced as a whole, its checksum in a file beside it."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the file; it need not exist."""
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> RecurrentNetwork:
        """Read the network, if the file is the one that was saved."""
        return load_network(Path(self._filepath))

    def save(self, data: RecurrentNetwork) -> None:
        """Replace the file."""
        path = Path(self._filepath)
        with atomic_path(path) as temporary:
            save_network(data, temporary, path)
        settle_checksum(path)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()
