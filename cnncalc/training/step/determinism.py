"""PyTorch's global state while a run computes, and what makes its arithmetic repeatable."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from cnncalc.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""cuBLAS adds up in a fixed order if its workspaces have fixed sizes; it reads this once."""


@contextmanager
def own_state(*, deterministic: bool) -> Iterator[None]:
    """Within, random numbers and flags are the run's; afterwards they are the caller's again.

    `deterministic`: only algorithms that give the same bits each time, on CUDA too.

    Raises:
        TrainingError: a layer has no such algorithm on this device.
    """
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if started else ()
    with (
        torch.random.fork_rng(devices),
        deterministic_algorithms() if deterministic else measured_algorithms(),
    ):
        yield


@contextmanager
def measured_algorithms() -> Iterator[None]:
    """Within, cuDNN times its algorithms for each new shape, and takes the fastest from then on."""
    cudnn = torch.backends.cudnn
    benchmark, cudnn.benchmark = cudnn.benchmark, True
    try:
        yield
    finally:
        cudnn.benchmark = benchmark


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Within, PyTorch takes algorithms that give the same bits each time, or none.

    Raises:
        TrainingError: there is none.
    """
    mode = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    name, value = WORKSPACE
    workspace = os.environ.get(name)
    os.environ[name] = workspace or value
    torch.use_deterministic_algorithms(mode=True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        what, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise TrainingError(f"{what}{found} here: leave out --deterministic") from None
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)
        cudnn.deterministic, cudnn.benchmark = flags
        if workspace is None:
            del os.environ[name]
