"""A network as a PyTorch module, and back: with training/, the only folder that loads torch."""
