"""Whether memory ran out, however an allocator says so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from cnncalc.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNS = ("DefaultCPUAllocator", "out of memory", "STATUS_ALLOC_FAILED")
"""How the allocators of the CPU, of other devices and of CUDA's libraries say it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


@contextmanager
def enough_memory(where: object) -> Iterator[None]:
    """Raises `TrainingError` where the memory of the device `where` runs out."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"out of memory on {where}: it does not hold network and data"
        ) from None
