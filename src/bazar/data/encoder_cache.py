"""Cache of exported sentence encoders, in the cache folder of the user.

An export takes about 20 seconds and depends only on the encoder. Therefore all data sets and
projects of a user share it. ``XDG_CACHE_HOME`` moves the cache, as for other programs.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pooch
from filelock import FileLock

from bazar.atomic import atomic_path
from bazar.data.onnx_encoder import OnnxEncoder
from bazar.data.title_embeddings import Encoder
from bazar.errors import InputError


@dataclass(frozen=True)
class ExportedEncoder:
    """A sentence encoder that was exported, or that cannot be exported.

    Attributes:
        folder: the folder with the files; None if the encoder cannot be exported.
    """

    folder: Path | None


def get_exported_encoder(encoder: Encoder) -> Path:
    """Return the folder of an exported encoder. The first call exports it.

    If files of the folder are missing or cannot be read, they are exported again. An interrupted
    export leaves nothing that a later call uses.

    Args:
        encoder: the encoder.

    Returns:
        A folder with the files :data:`bazar.data.onnx_encoder.FILES`. It must not be changed.

    Raises:
        InputError: if the encoder cannot be exported, or the cache cannot be written.
    """
    folder = Path(pooch.os_cache("bazar")) / "encoders"
    path = folder / re.sub(r"[^\w.@-]", "_", encoder.identity)
    if _is_usable(path, encoder):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The cache folder {folder} cannot be created: {error.strerror}.\n"
            "Set XDG_CACHE_HOME to a folder that can be written."
        ) from error
    # Another run may export the same encoder right now.
    with FileLock(path.with_name(f"{path.name}.lock")):
        if not _is_usable(path, encoder):
            # Importing PyTorch takes seconds.
            from bazar.data.onnx_export import export_encoder

            with atomic_path(path) as temporary:
                export_encoder(encoder, temporary)
    return path


def _is_usable(folder: Path, encoder: Encoder) -> bool:
    """Return whether a folder has the files of an encoder, and they can be read."""
    try:
        found = OnnxEncoder.load(folder)
        if found.identity != encoder.identity:
            return False
        # This reads the model, its weights and the tokenizer.
        found.encode([""])
    except InputError:
        return False
    return True
