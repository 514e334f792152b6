"""What earlier runs left for the next training: networks, and checkpoints of stopped trainings."""

from dataclasses import dataclass
from pathlib import Path

from bazar.models.networks.files import load_network
from bazar.training.checkpoints import Checkpoint
from bazar.training.optimizer_files import load_optimizer_state
from bazar.training.warm_start import NetworkState


@dataclass(frozen=True)
class PreviousTraining:
    """The folder of trained networks, before a training replaces one of them.

    Attributes:
        folder: ``data/06_models/<dataset>/<split>/seed_<n>``.
    """

    folder: Path

    def load_network(self, model: str) -> NetworkState | None:
        """Return the network that the last training of a model left, for a warm start.

        Args:
            model: name of the model.

        Returns:
            The network with the state of its optimizer; None if the model was never trained.

        Raises:
            InputError: if a file is damaged.
        """
        path = self.folder / f"{model}.keras"
        if not path.is_file():
            return None
        network = load_network(path)
        return NetworkState(network, load_optimizer_state(get_optimizer_path(path), network))

    def get_checkpoint(self, model: str) -> Checkpoint:
        """Return the checkpoint of a model, to which the training saves its state."""
        return Checkpoint(get_checkpoint_path(self.folder / f"{model}.keras"))

    def get_study_path(self) -> Path:
        """Return the path of the tuning study, the checkpoint of a tuning run."""
        return self.folder / "tuning.db"


def get_optimizer_path(network: Path) -> Path:
    """Return the path of the optimizer state that belongs to a network's file."""
    return network.with_name(f"{network.stem}_optimizer.npz")


def get_checkpoint_path(network: Path) -> Path:
    """Return the path of the checkpoint that belongs to a network's file."""
    return network.with_name(f"{network.stem}_checkpoint.npz")
