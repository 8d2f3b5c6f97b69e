"""Numbers that remember how they were made, and the geometry of one axis."""
