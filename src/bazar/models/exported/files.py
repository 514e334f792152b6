"""Files of exported networks, in the safetensors format: arrays, and a description in JSON."""

import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bazar.config.networks import NetworkOptions
from bazar.errors import InputError
from bazar.models.exported.network import ExportedNetwork

SUFFIX = ".safetensors"
"""Suffix of the file of an exported network."""

_DESCRIPTION = "network"


def write_exported_network(network: ExportedNetwork, path: Path) -> None:
    """Write a network to a file.

    Args:
        network: the network.
        path: the file, which is replaced if it exists.
    """
    description = {
        "options": network.options.model_dump(mode="json"),
        "item_ids": network.item_ids.tolist(),
        "vector_dimension": network.vector_dimension,
        "vector_samples": network.vector_samples,
        "vocabulary": None if network.vocabulary is None else network.vocabulary.tolist(),
    }
    weights = {name: np.asarray(array, order="C") for name, array in network.weights.items()}
    # The order of several texts in a header is random, and equal networks get equal files.
    save_file(weights, path, metadata={_DESCRIPTION: json.dumps(description)})


def read_exported_network(path: Path) -> ExportedNetwork:
    """Read a network that :func:`write_exported_network` wrote.

    Raises:
        InputError: if the file is damaged, or another version of Bazar wrote it.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads((file.metadata() or {})[_DESCRIPTION])
            vocabulary = description["vocabulary"]
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return ExportedNetwork(
            options=NetworkOptions.model_validate(description["options"]),
            item_ids=np.array(description["item_ids"], dtype=object),
            vector_dimension=description["vector_dimension"],
            vector_samples=description["vector_samples"],
            weights=weights,
            vocabulary=None if vocabulary is None else np.array(vocabulary, dtype=object),
        )
    except (SafetensorError, OSError, KeyError, ValueError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read as an exported network: {error}\n"
            "Copy the complete bundle again, or run `kedro run --pipelines recommendation`."
        ) from error
