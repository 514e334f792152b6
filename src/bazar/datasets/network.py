"""Trained networks as ``.keras`` files."""

from pathlib import Path, PurePosixPath
from typing import Any

import keras
from kedro.io import AbstractDataset

from bazar.datasets.atomic import AtomicSave
from bazar.networks import RecurrentNetwork


class _NetworkFile(AbstractDataset):
    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> RecurrentNetwork:
        return keras.models.load_model(str(self._filepath), compile=False, safe_mode=True)

    def save(self, data: RecurrentNetwork) -> None:
        data.save(str(self._filepath))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()


class NetworkDataset(AtomicSave, _NetworkFile):
    """A Keras network in a ``.keras`` file, loaded in safe mode and without its optimizer."""
