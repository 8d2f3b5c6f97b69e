"""A module of PyTorch, traced."""
