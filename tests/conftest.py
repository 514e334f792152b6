import os

from hypothesis import settings

# Before TensorFlow is imported anywhere: its start-up notes are not test output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A busy machine is no wrong answer.
settings.register_profile("bazar", deadline=None)
settings.load_profile("bazar")
