import os
import sys

# Kedro configures logging when it is imported. If TensorFlow were imported first, this would close
# the stream of its log handler, which is pytest's capture file.
import kedro.framework.project  # noqa: F401
import pytest
from hypothesis import settings

# Tests start many processes. Each would compile all libraries again if none might store the result.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# TensorFlow reads this when it is imported: its start-up messages are no output of tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A test that is slow on a busy machine is not wrong.
settings.register_profile("bazar", deadline=None)
settings.load_profile("bazar")

# Files that take minutes, the longest first. They are started first, so that no worker is left
# alone with one of them at the end.
LONG_FILES = (
    "test_run.py", "test_tuning.py", "test_partial_runs.py", "test_tutorial.py",
    "test_reproduction.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
