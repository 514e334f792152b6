"""Network training: batches, losses, checkpoints, warm starts, blend weights and tuning."""

# This package imports TensorFlow without its start-up messages.
import bazar.models.networks  # noqa: F401
