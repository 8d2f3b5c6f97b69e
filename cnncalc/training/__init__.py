"""Training: data, batches, the loop, checkpoints, runs. Loads torch."""
