"""Checkpoints: the state of a training after each epoch, in one file."""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel

from bazar.atomic import atomic_path
from bazar.errors import InputError


def fingerprint(options: BaseModel, seed: int, arrays: Iterable[np.ndarray]) -> str:
    """Compute a checksum of everything that the result of a training depends on.

    Args:
        options: the network and its training.
        seed: the seed.
        arrays: all arrays that the training reads.

    Returns:
        64 hexadecimal digits. They also depend on the versions of Keras and TensorFlow.
    """
    digest = hashlib.sha256(options.model_dump_json().encode())
    digest.update(f"{seed} {keras.version()} {tf.version.VERSION}".encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


class Checkpoint:
    """The saved state of one training; each save replaces the earlier state.

    The file is a NumPy archive without pickled objects: arrays, and facts as JSON. Nothing in this
    package deletes a checkpoint before the result of the training is saved. Clear it afterwards.
    """

    def __init__(self, path: Path) -> None:
        """Set the path of the file, which does not have to exist."""
        self._path = path

    def load(self, fingerprint: str) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """Load the state of the training with the given fingerprint.

        Returns:
            The arrays and facts as they were saved; None if there is no file, or if it belongs to
            another training.

        Raises:
            InputError: if the file is damaged.
        """
        if not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                facts = json.loads(str(archive["facts"]))
                if facts.pop("fingerprint") != fingerprint:
                    return None
                return [archive[f"array_{index}"] for index in range(len(archive) - 1)], facts
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self._path} cannot be read: {error}\nDelete the file and run again."
            ) from error

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Replace the state.

        Args:
            fingerprint: fingerprint of the training.
            arrays: arrays of any type but objects.
            facts: values that JSON can represent.

        Raises:
            InputError: if the file cannot be written. The earlier state is kept.
        """
        named: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(arrays)}
        facts_json = json.dumps(facts | {"fingerprint": fingerprint})
        try:
            with atomic_path(self._path) as temporary, temporary.open("wb") as file:
                np.savez(file, facts=np.array(facts_json), **named)
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be written: {error.strerror or error}."
            ) from error

    def clear(self) -> None:
        """Delete the file, if it exists."""
        self._path.unlink(missing_ok=True)
