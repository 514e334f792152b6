"""Save and load trained networks as ``.keras`` files, each with a checksum file."""

import hashlib
from pathlib import Path

import keras

from bazar.errors import InputError
from bazar.models.networks.recurrent import RecurrentNetwork


def load_network(path: Path) -> RecurrentNetwork:
    """Return a network from its file. Keras' safe mode is on, and the optimizer is not loaded.

    Raises:
        InputError: if the file or its checksum file is missing, or if the checksum differs.
    """
    checksum_path = get_checksum_path(path)
    for required in (path, checksum_path):
        if not required.is_file():
            raise InputError(f"{required} does not exist. Train the network again.")
    found = _compute_sha256(path)
    lines = checksum_path.read_text(encoding="utf-8").splitlines()
    expected = [line.split()[0] for line in lines if line]
    if found not in expected:
        raise InputError(
            f"{path} was changed after the training: its checksum differs.\n"
            f"  expected sha256 {expected[0] if expected else 'unknown'}\n"
            f"  found sha256    {found}\n"
            "Restore the file, or train the network again."
        )
    return read_network(path)


def read_network(path: Path) -> RecurrentNetwork:
    """Return a network from its file without a check of its checksum.

    Keras' safe mode is on, and the optimizer is not loaded.
    """
    return keras.models.load_model(str(path), compile=False, safe_mode=True)


def save_network(network: RecurrentNetwork, path: Path, final_path: Path) -> None:
    """Save a network to a temporary file, and add its checksum to the checksum file.

    The checksum file then holds the checksums of both the new and the existing network file. If
    the run is killed before the new file replaces the existing one, the existing network still
    loads. Call :func:`remove_old_checksums` after the replacement.

    Args:
        network: the network.
        path: temporary path of the new file.
        final_path: final path of the file. The caller moves the file there.
    """
    network.save(str(path))
    existing = [_compute_sha256(final_path)] if final_path.is_file() else []
    _write_checksums(final_path, [_compute_sha256(path), *existing])


def remove_old_checksums(path: Path) -> None:
    """Remove all checksums of a network except the checksum of its current file."""
    _write_checksums(path, [_compute_sha256(path)])


def get_checksum_path(path: Path) -> Path:
    """Return the path of a network's checksum file, in the format of ``sha256sum --check``."""
    return path.with_name(f"{path.name}.sha256")


def _write_checksums(path: Path, checksums: list[str]) -> None:
    temporary = path.with_name(f".{path.name}.sha256")
    lines = "".join(f"{checksum}  {path.name}\n" for checksum in checksums)
    temporary.write_text(lines, encoding="utf-8")
    temporary.replace(get_checksum_path(path))


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
