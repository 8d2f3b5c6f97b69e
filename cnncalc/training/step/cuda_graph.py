"""A step's gradient as a CUDA graph: its kernels are recorded once, then launched all together.

A small network waits for the launches of its kernels, not for their arithmetic. Batch norm,
dropout and the weights are read and written in place, so a replay does what the step itself would.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cnncalc.errors import TrainingError
from cnncalc.training.step.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import nn

WARM_UP = 3
"""Steps before the recording: libraries choose their kernels and allocate what they keep."""

SYNCHRONIZES = "synchronizing CUDA operation"
"""How PyTorch's warning says that a step waits for the device."""

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Images (N, C, H, W) and targets -> the loss () and the scores (N, classes), and .grad filled."""


class Recording(NamedTuple):
    """A gradient that was recorded, and the memory that each replay fills."""

    results: tuple[Tensor, Tensor]
    """The loss () and the scores (N, classes)."""
    gradients: list[Tensor | None]
    """One a weight."""
    replay: Callable[[], None]


class CapturedGradient:
    """A gradient that is recorded after a few batches of `size` images, and replayed from then on.

    Batches of another size run kernel by kernel. So do all if a step waits for the device, or if
    memory does not suffice for both. The gradient is given anew with each batch: what holds this
    and its graph is then gone as soon as nobody needs it.
    """

    def __init__(self, model: nn.Module, size: int) -> None:
        self.size = size
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.inputs: tuple[Tensor, ...] = ()
        """Read by each replay, and by the steps before, which choose their kernels for them."""
        self.steps = 0
        self.possible = True
        self.recording: Recording | None = None

    def __call__(
        self, gradient: Gradient, images: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `gradient` gives.

        Raises:
            TrainingError: the device cannot record it.
        """
        if len(images) != self.size or not self.possible:
            return gradient(images, targets)
        self._take(images, targets)
        self.steps += 1
        if self.steps < WARM_UP:
            return gradient(*self.inputs)
        if self.steps == WARM_UP:
            results, waited = watched(lambda: gradient(*self.inputs))
            if waited:
                self.release()
            return results
        self.recording = self.recording or self._recorded(gradient)
        if self.recording is None:
            self.release()
            return gradient(images, targets)
        return self._replayed(self.recording)

    def _take(self, *given: Tensor) -> None:
        if not self.inputs:
            self.inputs = tuple(tensor.clone() for tensor in given)
            return
        for mine, tensor in zip(self.inputs, given, strict=True):
            mine.copy_(tensor)

    def _recorded(self, gradient: Gradient) -> Recording | None:
        """None if memory ran out: it may suffice without a graph's own."""
        try:
            results, replay = record(lambda: gradient(*self.inputs), self.inputs[0].device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                # Before 2.15 PyTorch has no way back from here: its random numbers are stuck.
                reason = str(error).splitlines()[0]
                raise TrainingError(
                    f"a step cannot be recorded as a CUDA graph ({reason}): use --no-cuda-graph"
                ) from None
            for weight in self.weights:
                weight.grad = None
            return None
        return Recording(results, [weight.grad for weight in self.weights], replay)

    def _replayed(self, recording: Recording) -> tuple[Tensor, Tensor]:
        recording.replay()
        for weight, gradient in zip(self.weights, recording.gradients, strict=True):
            weight.grad = gradient
        loss, scores = recording.results
        return loss.clone(), scores.clone()  # the next replay overwrites them

    def release(self) -> None:
        """Gives the graph's memory back; steps run kernel by kernel from here on."""
        self.recording, self.inputs, self.possible = None, (), False


def record(
    run: Callable[[], tuple[Tensor, Tensor]], device: torch.device
) -> tuple[tuple[Tensor, Tensor], Callable[[], None]]:
    """The results of `run`, still empty, and what fills them: nothing is computed here.

    Raises:
        RuntimeError: it does what a graph cannot hold, or memory ran out.
    """
    graph = torch.cuda.CUDAGraph()
    # One of its own: what graphs of one stream share is freed with the first of them.
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with (
        _no_collection(),
        torch.cuda.device(device),
        torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
    ):
        results = run()
    return results, graph.replay


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within, garbage stays: another graph that is freed would spoil the one that is recorded."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def watched(run: Callable[[], tuple[Tensor, Tensor]]) -> tuple[tuple[Tensor, Tensor], bool]:
    """The results of `run`, and whether it waited for the device: no graph holds a wait."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            results = run()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    waits = [said_of for said_of in said if SYNCHRONIZES in str(said_of.message)]
    for other in said:
        if other not in waits:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return results, bool(waits)
