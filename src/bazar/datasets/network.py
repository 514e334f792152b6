"""Catalog type of trained networks, as ``.keras`` files.

TensorFlow is imported when a network is loaded or saved. Runs without networks do not import it.
"""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bazar.atomic import atomic_path
from bazar.datasets.local import LocalDataset

if TYPE_CHECKING:
    from bazar.models.networks.recurrent import RecurrentNetwork
    from bazar.training.warm_start import NetworkState


class NetworkDataset(LocalDataset):
    """A trained network in a ``.keras`` file, with a checksum and the optimizer state beside it.

    A save takes a network with the state of its optimizer. A load returns only the network. Only a
    warm start loads the optimizer state.
    """

    _filepath: PurePosixPath

    def load(self) -> "RecurrentNetwork":
        """Verify the checksum and return the network."""
        from bazar.models.networks.files import load_network

        return load_network(Path(self._filepath))

    def save(self, data: "NetworkState") -> None:
        """Save the network and its optimizer state, and remove the checkpoint of the training."""
        from bazar.models.networks.files import remove_old_checksums, save_network
        from bazar.training.checkpoints import Checkpoint
        from bazar.training.optimizer_files import save_optimizer_state
        from bazar.training.previous_training import get_checkpoint_path, get_optimizer_path

        path = Path(self._filepath)
        with atomic_path(path) as temporary:
            save_network(data.network, temporary, path)
        remove_old_checksums(path)
        if data.optimizer is not None:
            save_optimizer_state(get_optimizer_path(path), data.network, data.optimizer)
        Checkpoint(get_checkpoint_path(path)).clear()

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()
