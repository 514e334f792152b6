import os

# Kedro configures logging when it is imported. If TensorFlow were imported first, this would close
# the stream of its log handler, which is pytest's capture file.
import kedro.framework.project  # noqa: F401
from hypothesis import settings

# TensorFlow reads this when it is imported: its start-up messages are no output of tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A test that is slow on a busy machine is not wrong.
settings.register_profile("bazar", deadline=None)
settings.load_profile("bazar")
