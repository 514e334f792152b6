"""Import TensorFlow without its start-up messages.

On a machine without a GPU, the libraries of TensorFlow write several lines to standard error when
they are imported, before they read any setting. Those lines are dropped. Everything else that is
written at the same time is kept.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_STARTUP_MESSAGES = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations are on"
    rb"|Could not find cuda drivers"
)


def import_tensorflow() -> None:
    """Import TensorFlow, drop its start-up messages, and hide later messages below errors.

    The environment variable ``TF_CPP_MIN_LOG_LEVEL`` is respected if it is set.
    """
    if "tensorflow" in sys.modules:
        return
    # Level 3 shows fatal errors only. Level 2 would report a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _filtered_stderr():
        import tensorflow  # noqa: F401


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
