"""Figures of a model on a split: every sample counted once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.training.data.dataset import Split, Stream
from cnncalc.training.feeding.batches import streamed
from cnncalc.training.feeding.workers import none_missed
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor, nn

    from cnncalc.training.feeding.batches import Preparer

BATCH = 1000
"""Images evaluated at once, at most."""


class Figures(NamedTuple):
    """Of one split. Accuracies are fractions."""

    loss: float
    accuracy: float
    top5: float
    samples: int
    confusion: Tensor
    """(classes, classes) counts: rows are the true classes, columns what was said."""


def evaluate_split(
    model: nn.Module,
    split: Split | Stream,
    prepare: Preparer,
    loss: Callable[[Tensor, Tensor], Tensor],
    classes: int,
    autocast: Callable[[], torch.autocast],
    at_once: int = BATCH,
) -> Figures:
    """Loss and accuracy over a whole split, in evaluation mode; the model's mode is kept.

    `loss` gives one number a sample; `at_once` samples are worked out together. Sums are kept in
    float64, so that the last, short batch has its right weight. Several processes take contiguous
    shares of the split, and add them up.
    """
    device = next(model.parameters()).device
    total = torch.zeros((), dtype=torch.float64, device=device)
    right5 = torch.zeros((), dtype=torch.int64, device=device)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    training = model.training
    model.eval()
    with torch.inference_mode(), none_missed(), closing(_raw(split, device, at_once)) as samples:
        for images, y in samples:
            x = prepare(images)
            with autocast():
                scores = model(x).float()
            total += loss(scores, y).double().sum()
            pairs = y * classes + scores[:, :classes].argmax(1)
            confusion += torch.bincount(pairs, minlength=classes * classes)
            best = scores.topk(min(5, scores.shape[1]), 1).indices
            right5 += (best == y[:, None]).any(1).sum()
    model.train(training)
    for figure in (total, right5, confusion):
        here().sum(figure)
    count = len(split.labels)
    table = confusion.view(classes, classes).cpu()
    return Figures(
        total.item() / count, table.trace().item() / count, right5.item() / count, count, table
    )


def _raw(
    split: Split | Stream, device: torch.device, at_once: int
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Every sample of this process's share once, in order."""
    mine = here().share(len(split.labels)).slices[0]
    if mine.start == mine.stop:
        return
    if isinstance(split, Stream):
        indices = torch.arange(mine.start, mine.stop)
        yield from streamed(split, torch.split(indices, at_once), device)
        return
    for images, labels in zip(
        torch.split(split.images[mine], at_once),
        torch.split(split.labels[mine], at_once),
        strict=True,
    ):
        yield images.to(device), labels.to(device)
