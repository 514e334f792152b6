"""Arrays that are mapped from a file. Processes share their memory, which can be released."""

import mmap
from pathlib import Path

import numpy as np


def map_array(path: Path) -> np.ndarray:
    """Map an array that :func:`numpy.save` wrote. It cannot be written.

    Replace the file by renaming a new one, and never overwrite it.

    Args:
        path: the file.

    Raises:
        OSError, ValueError: if the file cannot be read as an array.
    """
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    # Without the class memmap, which makes every small operation slower.
    return np.asarray(mapped)


def release_pages(array: np.ndarray) -> None:
    """Release the memory of a mapped array. Later reads load its pages from the file again.

    An array that is not mapped does not change.

    Args:
        array: an array, or a view of it.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    # Windows has no such call.
    if isinstance(owner, mmap.mmap) and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)
