"""A sketch written as a spec: in order, in blocks, with parameters."""
