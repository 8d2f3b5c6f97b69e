"""Receptive fields of a module, measured without the table's rules."""
