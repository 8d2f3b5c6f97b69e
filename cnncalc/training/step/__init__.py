"""What happens in a training step, and around it."""
