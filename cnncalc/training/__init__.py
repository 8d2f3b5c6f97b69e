"""Training: data, recipe, loop, checkpoints and runs."""
