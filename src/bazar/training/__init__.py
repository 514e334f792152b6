"""Network training: batches, losses, checkpoints, warm starts, blend weights and tuning."""
