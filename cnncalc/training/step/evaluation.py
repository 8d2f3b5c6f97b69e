"""Figures of a model on a split: every sample counted once."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from cnncalc.training.data.dataset import Split, Stream
from cnncalc.training.feeding.batches import streamed
from cnncalc.training.feeding.workers import none_missed
from cnncalc.training.processes.processes import here
from cnncalc.training.step.losses import loss_function

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor, nn

    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.device import Setting
    from cnncalc.training.feeding.batches import Preparer

BATCH = 1000
"""Images evaluated at once, at most."""
EVALUATION_BYTES = 2**31
"""Up to so many bytes of activations, more images are evaluated at once than trained on."""


class Figures(NamedTuple):
    """Of one split. Accuracies are fractions."""

    loss: float
    accuracy: float
    top5: float
    samples: int
    confusion: Tensor
    """(classes, classes) counts: rows are the true classes, columns what was said."""


@dataclass(frozen=True)
class Evaluator:
    """Takes the figures of a model on any split of its data."""

    prepare: Callable[[Tensor], Tensor]
    """Raw images (N, C, *sizes) -> what the model takes."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Scores (N, outputs) and classes (N,) -> one number a sample."""
    classes: int
    """Of the data; the model may have more outputs."""
    autocast: Callable[[], Any]
    """The context of a forward pass."""
    at_once: int = BATCH
    """Samples that are worked out together."""

    @classmethod
    def of_recipe(
        cls,
        recipe: Recipe,
        setting: Setting,
        prepare: Preparer,
        classes: int,
        activation_bytes: int,
    ) -> Evaluator:
        """That of a run; `activation_bytes` are those of one image in all layers."""
        return cls(
            prepare,
            loss_function(recipe.loss, "none"),
            classes,
            setting.autocast,
            evaluated_at_once(activation_bytes, recipe.batch_size),
        )

    def figures(self, model: nn.Module, split: Split | Stream) -> Figures:
        """Loss and accuracy over a whole split, in evaluation mode; the model's mode is kept.

        Sums are kept in float64, so that the last, short batch has its right weight. Several
        processes take contiguous shares of the split, and add them up.
        """
        device = next(model.parameters()).device
        total = torch.zeros((), dtype=torch.float64, device=device)
        right5 = torch.zeros((), dtype=torch.int64, device=device)
        confusion = torch.zeros(self.classes**2, dtype=torch.int64, device=device)
        training = model.training
        model.eval()
        with (
            torch.inference_mode(),
            none_missed(),
            closing(_raw(split, device, self.at_once)) as samples,
        ):
            for images, y in samples:
                x = self.prepare(images)
                with self.autocast():
                    scores = model(x).float()
                total += self.loss(scores, y).double().sum()
                pairs = y * self.classes + scores[:, : self.classes].argmax(1)
                confusion += torch.bincount(pairs, minlength=self.classes**2)
                best = scores.topk(min(5, scores.shape[1]), 1).indices
                right5 += (best == y[:, None]).any(1).sum()
        model.train(training)
        for figure in (total, right5, confusion):
            here().sum(figure)
        count = len(split.labels)
        table = confusion.view(self.classes, self.classes).cpu()
        return Figures(
            total.item() / count, table.trace().item() / count, right5.item() / count, count, table
        )


def evaluated_at_once(activation_bytes: int, batch_size: int) -> int:
    """Images to evaluate at once: of large ones, no more than a training step takes.

    `activation_bytes` are those of one image in all layers; evaluation keeps only some of them.
    """
    return min(max(EVALUATION_BYTES // max(activation_bytes, 1), batch_size), BATCH)


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
