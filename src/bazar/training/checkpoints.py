"""Training that can be interrupted: its state after each epoch, in one file."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel

from bazar.errors import InputError


def fingerprint(options: BaseModel, seed: int, arrays: Iterable[np.ndarray]) -> str:
    """Tell one training from another: by its options, its seed, what it reads and the libraries.

    Args:
        options: the network and its training.
        seed: the seed.
        arrays: everything that is read.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(options.model_dump_json().encode())
    digest.update(f"{seed} {keras.version()} {tf.version.VERSION}".encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


class Checkpoint:
    """The state of one training, replaced as a whole after each epoch.

    A NumPy archive without pickled objects: arrays, and facts as JSON.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it need not exist."""
        self._path = path

    def load(self, fingerprint: str) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """Read the state of the training with this fingerprint.

        Returns:
            Arrays and facts as they were saved; None if there is no file, or it is of another
            training.

        Raises:
            InputError: if the file cannot be read.
        """
        if not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                facts = json.loads(str(archive["facts"]))
                if facts.pop("fingerprint") != fingerprint:
                    return None
                return [archive[f"array_{place}"] for place in range(len(archive) - 1)], facts
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self._path} cannot be read: {error}\nRemove it: training begins without it"
            ) from error

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Replace the state.

        Args:
            fingerprint: of the training.
            arrays: anything but objects.
            facts: anything that JSON can hold.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}")
        with temporary.open("wb") as file:
            named: dict[str, Any] = {f"array_{place}": array for place, array in enumerate(arrays)}
            np.savez(
                file, facts=np.array(json.dumps(facts | {"fingerprint": fingerprint})), **named
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def clear(self) -> None:
        """Remove the state: the training is over."""
        self._path.unlink(missing_ok=True)
