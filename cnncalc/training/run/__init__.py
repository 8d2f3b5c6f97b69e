"""The folder of a run: what is written, and what a resume reads."""
