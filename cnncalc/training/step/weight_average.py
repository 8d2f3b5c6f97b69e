"""A moving average of the weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from cnncalc.pytorch.weights import put_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


class Average:
    """average ← decay·average + (1 − decay)·weights after each step; buffers are copied.

    Early on the decay is (1 + step)/(10 + step) where that is less, so that the first weights,
    which are random, are soon forgotten (as TensorFlow's ExponentialMovingAverage does).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.step = 0
        self.weights = [weight.detach().clone() for weight in model.parameters()]

    def update(self, model: nn.Module) -> None:
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        now = [weight.detach() for weight in model.parameters()]
        torch._foreach_lerp_(self.weights, now, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within, the model has the averaged weights."""
        kept = [weight.detach().clone() for weight in model.parameters()]
        put_weights(model, self.weights)
        try:
            yield
        finally:
            put_weights(model, kept)

    def state(self) -> dict[str, object]:
        return {"step": self.step, "weights": self.weights}

    def restore(self, state: dict[str, object]) -> None:
        self.step = int(state["step"])  # type: ignore[call-overload]
        for mine, saved in zip(self.weights, state["weights"], strict=True):  # type: ignore[call-overload]
            mine.copy_(saved)
