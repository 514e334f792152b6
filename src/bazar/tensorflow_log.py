"""Keep TensorFlow's start-up messages out of the output of commands.

When TensorFlow is imported on a machine without a GPU, its libraries write several lines to
standard error, before they read any setting. They are filtered out while TensorFlow is imported.
Everything else that is written meanwhile is kept.
"""

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_STDERR = 2
_STARTUP_MESSAGES = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations are on"
    rb"|Could not find cuda drivers"
)


def quiet_tensorflow() -> None:
    """Filter the messages of the first ``import tensorflow``, and hide later ones below errors.

    The environment variable ``TF_CPP_MIN_LOG_LEVEL`` is respected if it is set.
    """
    # Level 3 shows fatal errors only. Level 2 would report a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules and not any(
        isinstance(finder, _TensorFlowFinder) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _TensorFlowFinder())


class _TensorFlowFinder(MetaPathFinder):
    """Finds TensorFlow as usual, and filters standard error while it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the module's own spec, with a loader that filters; None for other modules."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = partial(_execute_filtered, spec.loader.exec_module)
            spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec


def _execute_filtered(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    with _filtered_stderr():
        execute(module)


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Drop TensorFlow's start-up messages from standard error; libraries write there directly."""
    try:
        original = os.dup(_STDERR)
    except OSError:
        # There is no standard error.
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(original, _STDERR)
            os.close(original)
            captured.seek(0)
            kept = [line for line in captured if not _STARTUP_MESSAGES.search(line)]
            if kept:
                os.write(_STDERR, b"".join(kept))
