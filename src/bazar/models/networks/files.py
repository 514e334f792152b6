"""Trained networks as ``.keras`` files, each with its checksum beside it."""

import hashlib
from pathlib import Path

import keras

from bazar.errors import InputError
from bazar.models.networks.recurrent import RecurrentNetwork


def load_network(path: Path) -> RecurrentNetwork:
    """Read a network, in safe mode and without its optimizer.

    Raises:
        InputError: if there is no file, or it is not the one that was written when the network
            was trained.
    """
    sums = checksum_file(path)
    for needed in (path, sums):
        if not needed.is_file():
            raise InputError(f"there is no {needed}: train the network again")
    found = _sha256(path)
    written = [line.split()[0] for line in sums.read_text(encoding="utf-8").splitlines() if line]
    if found not in written:
        raise InputError(
            f"{path} is not the file that was written when the network was trained\n"
            f"  sha256 then {written[0] if written else 'unknown'}\n  sha256 now  {found}\n"
            "Put the file back, or train the network again"
        )
    return keras.models.load_model(str(path), compile=False, safe_mode=True)


def save_network(network: RecurrentNetwork, path: Path, final: Path) -> None:
    """Write a network, and its checksum beside the file that it is to become.

    Args:
        network: the network.
        path: where the file is written first.
        final: where it is put then; until it is, the checksum of what stands there stays good.
    """
    network.save(str(path))
    earlier = [_sha256(final)] if final.is_file() else []
    _write_sums(final, [_sha256(path), *earlier])


def settle_checksum(path: Path) -> None:
    """Leave no other checksum than that of the file that stands there now."""
    _write_sums(path, [_sha256(path)])


def checksum_file(path: Path) -> Path:
    """Where the checksum of a network's file is, as ``sha256sum --check`` reads it."""
    return path.with_name(f"{path.name}.sha256")


def _write_sums(path: Path, sums: list[str]) -> None:
    temporary = path.with_name(f".{path.name}.sha256")
    lines = "".join(f"{checksum}  {path.name}\n" for checksum in sums)
    temporary.write_text(lines, encoding="utf-8")
    temporary.replace(checksum_file(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
