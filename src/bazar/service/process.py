"""Settings of a process of the service that make its start fast and its memory small."""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_VARIABLES = {
    # One thread of BLAS for each request. Several are slower under load, and have more buffers.
    "OPENBLAS_NUM_THREADS": "1",
    # Arrow's own allocator keeps 30 MB after the files are read.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


# M_ARENA_MAX of mallopt(3): with one arena for all threads, 12 MB less are lost between objects.
_ARENA_LIMIT = -8
_OBJECTS_BETWEEN_COLLECTIONS = 20_000


def prepare_process() -> None:
    """Prepare a process that starts. Call it before NumPy and PyArrow are imported.

    Variables of the environment that are set already stay. Processes that this one starts have the
    same variables.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    with _use_gnu_library() as library:
        library.mallopt(_ARENA_LIMIT, 1)
    # Until the end of the start, collections take a fifth of the time, and find nothing.
    gc.disable()


def settle_process() -> None:
    """Collect garbage at the end of the start, and release unused memory.

    Later collections leave out what the start created: a million objects that stay.
    """
    gc.collect()
    gc.freeze()
    # A list creates thousands of objects, and nearly none in a cycle. With Python's threshold of
    # 700 objects, collections take a twentieth of its time.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()
    trim_memory()


def trim_memory() -> None:
    """Release unused memory, which the C library keeps otherwise: 30 MB after a start."""
    with _use_gnu_library() as library:
        library.malloc_trim(0)


@contextmanager
def _use_gnu_library() -> Iterator[ctypes.CDLL]:
    """Return the C library. If it is not that of GNU, the block ends at its first function."""
    with suppress(OSError, AttributeError, TypeError):
        yield ctypes.CDLL(None)
