"""How many processors there are to work with."""

from __future__ import annotations

import os


def cores() -> int:
    """Processors that this process may use: a container or `taskset` may leave it few of them."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
