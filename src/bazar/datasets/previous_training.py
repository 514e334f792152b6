"""Catalog type of the networks and checkpoints of earlier runs."""

from pathlib import Path
from typing import Never

from kedro.io import DatasetError

from bazar.datasets.local import LocalDataset
from bazar.training.previous_training import PreviousTraining


class PreviousTrainingDataset(LocalDataset):
    """The networks and checkpoints of earlier runs in a folder. It is read-only."""

    def load(self) -> PreviousTraining:
        """Return a reader of the folder. Each file is read when it is used."""
        return PreviousTraining(Path(self._filepath))

    def save(self, data: Never) -> None:
        """Raise DatasetError: networks and checkpoints are saved by their own data sets."""
        raise DatasetError(f"{self._filepath} is read-only.")
