"""What is said of a run after it: figures, predictions, pictures."""
