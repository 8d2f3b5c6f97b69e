"""The PyTorch half of cnncalc: the only folder that loads torch."""
