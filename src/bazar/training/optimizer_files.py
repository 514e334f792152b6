"""Files with the state of an optimizer, for the next warm start."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.checkpoints import Checkpoint, fingerprint


@dataclass(frozen=True)
class OptimizerState:
    """The state of an optimizer at the end of a training.

    Attributes:
        name: name of the optimizer, such as ``adam``.
        variables: its variables, in Keras' order.
    """

    name: str
    variables: list[np.ndarray]


def save_optimizer_state(path: Path, network: RecurrentNetwork, state: OptimizerState) -> None:
    """Save the state of the optimizer that trained a network.

    Args:
        path: the file. An existing file is replaced.
        network: the trained network. The file contains a fingerprint of its options and weights.
        state: the state of the optimizer.

    Raises:
        InputError: if the file cannot be written.
    """
    Checkpoint(path).save(_compute_fingerprint(network), state.variables, {"optimizer": state.name})


def load_optimizer_state(path: Path, network: RecurrentNetwork) -> OptimizerState | None:
    """Load the state of the optimizer that trained a network.

    Args:
        path: the file, which does not have to exist.
        network: the network, as loaded from its file.

    Returns:
        The state; None if there is no file, or if it belongs to other weights.

    Raises:
        InputError: if the file is damaged.
    """
    loaded = Checkpoint(path).load(_compute_fingerprint(network))
    if loaded is None:
        return None
    variables, facts = loaded
    return OptimizerState(facts["optimizer"], variables)


def _compute_fingerprint(network: RecurrentNetwork) -> str:
    return fingerprint(network.options, 0, [weight.numpy() for weight in network.weights])
