"""Folders of runs, as plain data."""
