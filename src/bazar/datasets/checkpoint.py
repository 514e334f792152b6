"""The place of a training's state."""

from pathlib import Path, PurePosixPath
from typing import Any, Never

from kedro.io import AbstractDataset

from bazar.checkpoints import Checkpoint


class CheckpointDataset(AbstractDataset):
    """Where a training keeps its state between epochs; the training itself writes it."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the file; it need not exist."""
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> Checkpoint:
        """Return the place, whether or not there is a state."""
        return Checkpoint(Path(self._filepath))

    def save(self, data: Never) -> None:
        """Refuse: it is written between epochs, not by a node."""
        raise NotImplementedError("a checkpoint is written by the training that owns it")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
