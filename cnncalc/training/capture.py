"""A step's gradient as a CUDA graph: its kernels are recorded once, then launched all together.

A small network waits for the launches of its kernels, not for their arithmetic. Batch norm,
dropout and the weights are read and written in place, so a replay does what the step itself would.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from cnncalc.errors import UsageError
from cnncalc.training.data import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from cnncalc.training.api import Plan

WARM_UP = 3
"""Steps before the recording: libraries choose their kernels and allocate what they keep."""
MULTIPLY_ADDS = 500e9
"""Of a step, above which arithmetic hides the launches of its kernels on any GPU of today."""
BYTES = 2**31
"""Of activations, up to which a graph may keep memory of its own."""

Gradient = Callable[["Tensor", "Tensor"], tuple["Tensor", "Tensor"]]
"""Images (N, C, H, W) and targets -> the loss () and the scores (N, classes), and .grad filled."""


def is_chosen(wanted: bool | None, plan: Plan, *, deterministic: bool) -> bool:
    """Whether a run's steps are recorded; if `wanted` is None, where they can be and are small.

    Raises:
        UsageError: it is wanted where it cannot be.
    """
    if wanted is False:
        return False
    reason = _reason_against(plan, deterministic=deterministic)
    if wanted and reason:
        raise UsageError(f"--cuda-graph: {reason}; leave it out")
    return reason is None and (wanted or _is_small(plan))


def _reason_against(plan: Plan, *, deterministic: bool) -> str | None:
    if plan.setting.device.type != "cuda":
        return f"there are no such graphs on {plan.setting.device}"
    if deterministic:
        return "with --deterministic a resumed run has to repeat each step as it was"
    reasons = {
        "several processes send each other their gradients within a step": plan.processes > 1,
        "a step is one batch, and train.accumulate makes it several": plan.recipe.accumulate > 1,
        "the loss of float16 is scaled anew at each step": plan.setting.precision == torch.float16,
        "a stream of images is slower than the launches": isinstance(plan.data.train, Stream),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_small(plan: Plan) -> bool:
    """Whether launches are what a step waits for. Backward is twice the work of forward."""
    totals, size = plan.totals, plan.recipe.batch_size
    return (
        3 * totals.multiply_adds * size <= MULTIPLY_ADDS and totals.activation_bytes * size <= BYTES
    )


class CapturedGradient:
    """A gradient that is recorded after a few batches of `size` images, and replayed from then on.

    Batches of another size run kernel by kernel, and all do if the device cannot record them.
    """

    def __init__(self, gradient: Gradient, model: nn.Module, size: int) -> None:
        self.gradient, self.size = gradient, size
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.steps = 0
        self.possible = False
        """Whether a step was seen that did not wait for the device."""
        self.recording: Recording | None = None

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if len(images) != self.size:
            return self.gradient(images, targets)
        self.steps += 1
        if self.steps == WARM_UP:
            results, self.possible = watched(lambda: self.gradient(images, targets))
            return results
        if self.steps == WARM_UP + 1 and self.possible:
            self.recording = self._recorded(images, targets)
        replay = self.recording or self.gradient
        return replay(images, targets)

    def _recorded(self, images: Tensor, targets: Tensor) -> Recording | None:
        try:
            return Recording(self.gradient, self.weights, images, targets)
        except RuntimeError:  # memory too may end here that suffices without a graph's own
            for weight in self.weights:
                weight.grad = None
            return None

    def release(self) -> None:
        """Gives the graph's memory back; steps run kernel by kernel from here on."""
        self.recording, self.possible = None, False


class Recording:
    """A recorded gradient, for batches of one shape."""

    def __init__(
        self, gradient: Gradient, weights: Iterable[nn.Parameter], images: Tensor, targets: Tensor
    ) -> None:
        self.inputs = images.clone(), targets.clone()
        self.results, self.replay = record(lambda: gradient(*self.inputs), images.device)
        self.gradients = [(weight, weight.grad) for weight in weights]

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for mine, given in zip(self.inputs, (images, targets), strict=True):
            mine.copy_(given)
        self.replay()
        for weight, gradient in self.gradients:
            weight.grad = gradient
        loss, scores = self.results
        return loss.clone(), scores.clone()  # the next replay overwrites them


def record(
    run: Callable[[], tuple[Tensor, Tensor]], device: torch.device
) -> tuple[tuple[Tensor, Tensor], Callable[[], None]]:
    """The results of `run`, still empty, and what fills them: nothing is computed here.

    Raises:
        RuntimeError: it does what a graph cannot hold, or memory ran out.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream):
        results = run()
    return results, graph.replay


def watched(run: Callable[[], tuple[Tensor, Tensor]]) -> tuple[tuple[Tensor, Tensor], bool]:
    """The results of `run`, and whether it never waited for the device: no graph holds a wait."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            results = run()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    return results, not any("synchronizing CUDA operation" in str(w.message) for w in said)
