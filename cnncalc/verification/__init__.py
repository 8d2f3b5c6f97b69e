"""Whether the table is true of the module."""
