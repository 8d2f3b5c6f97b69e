"""What was called, as a sketch of nodes: common to all sources."""
