import os

# Kedro configures logging when it is imported. If TensorFlow were imported first, this would close
# the stream of its log handler, which is pytest's capture file.
import kedro.framework.project  # noqa: F401
import pytest
from hypothesis import settings

# TensorFlow reads this when it is imported: its start-up messages are no output of tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A test that is slow on a busy machine is not wrong.
settings.register_profile("bazar", deadline=None)
settings.load_profile("bazar")

# Files with whole runs of the project. They are started first, so that no worker is left alone with
# them at the end.
LONG_FILES = ("test_run.py", "test_partial_runs.py", "test_tutorial.py", "test_tuning.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG_FILES)
