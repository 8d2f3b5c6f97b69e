"""Running figures of an epoch, looked at only now and then: each look waits for the device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from torch import Tensor


class Tally:
    """Loss and accuracy of the training batches of one epoch."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins anew."""
        self.loss_sum = 0.0
        self.right = 0
        self.count = 0
        self.last_loss = math.nan
        self.pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self.recent: Tensor | None = None
        """Scores (N, classes) of a part that was looked at last, by one and the same weights."""

    def add(self, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
        """One part of a batch: its mean loss, scores (N, classes) and classes (N,)."""
        self.pending.append((loss, scores, labels))

    def look(self) -> int | None:
        """Brings the figures up to date; how many parts ago a loss was not finite, if one was."""
        if not self.pending:
            return None
        losses, scores, labels = zip(*self.pending, strict=True)
        right = torch.cat(scores).argmax(1).eq(torch.cat(labels)).sum()
        self.recent = max(scores, key=len)
        numbers = torch.stack(losses).tolist()
        counts = [len(part) for part in labels]
        if here().count > 1:
            numbers, counts, right = _of_all(numbers, counts, right)
        for loss, count in zip(
            numbers, counts, strict=True
        ):  # in order: sums do not depend on looks
            self.loss_sum += loss * count
            self.count += count
        self.right += int(right)
        self.last_loss = numbers[-1]
        self.pending.clear()
        for place, loss in enumerate(numbers):
            if not math.isfinite(loss):
                return len(numbers) - 1 - place
        return None

    @property
    def loss(self) -> float:
        return self.loss_sum / max(self.count, 1)

    @property
    def accuracy(self) -> float:
        """As a fraction."""
        return self.right / max(self.count, 1)

    def state(self) -> dict[str, Any]:
        self.look()
        return {"loss_sum": self.loss_sum, "right": self.right, "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        self.clear()
        self.loss_sum, self.right, self.count = state["loss_sum"], state["right"], state["count"]


def _of_all(
    losses: list[float], counts: list[int], right: Tensor
) -> tuple[list[float], list[int], Tensor]:
    """Mean losses of parts, their sizes and the hits among them: of all processes together."""
    sums = [loss * count for loss, count in zip(losses, counts, strict=True)]
    figures = here().sum(torch.tensor([*sums, *counts, int(right)], dtype=torch.float64))
    totals, sizes, hits = torch.split(figures, [len(sums), len(counts), 1])
    return (totals / sizes).tolist(), [int(size) for size in sizes], hits
