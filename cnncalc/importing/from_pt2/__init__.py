"""A `.pt2` file -> a program, by reading the archive ourselves.

PyTorch's own reader evaluates texts of the file, looks names up in modules and unpickles. Here the
file is data: every text that PyTorch would run or look up is held against what PyTorch itself
writes (`symbols`, `checking`), and the graph is built of known operators alone (`building`).
"""
