import os

from hypothesis import settings

# TensorFlow reads this when it is imported: its start-up messages are no output of tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A test that is slow on a busy machine is not wrong.
settings.register_profile("bazar", deadline=None)
settings.load_profile("bazar")
