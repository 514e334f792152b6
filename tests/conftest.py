import os

# Before TensorFlow is imported anywhere: its start-up notes are not test output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
