"""Losses by name, and what the scores of a network mean to each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from cnncalc.spec.train_section import LossRecipe


def loss_function(
    recipe: LossRecipe, reduction: str = "mean"
) -> Callable[[Tensor, Tensor], Tensor]:
    """Scores (N, classes) and targets -> the loss; one number a sample if `reduction` is none.

    Targets are classes (N,), or shares (N, classes).
    """
    if recipe.name == "cross_entropy":
        smoothing = recipe.label_smoothing if reduction == "mean" else 0.0
        return partial(F.cross_entropy, reduction=reduction, label_smoothing=smoothing)
    return partial(_nll if recipe.name == "nll" else _mse, reduction)


def _nll(reduction: str, scores: Tensor, targets: Tensor) -> Tensor:
    if targets.dim() == 1:
        return F.nll_loss(scores, targets, reduction=reduction)
    losses = -(scores.float() * targets).sum(1)
    return losses.mean() if reduction == "mean" else losses


def _mse(reduction: str, scores: Tensor, targets: Tensor) -> Tensor:
    if targets.dim() == 1:
        targets = F.one_hot(targets, scores.shape[1])
    losses = (scores.float() - targets).square().mean(1)
    return losses.mean() if reduction == "mean" else losses


def probabilities(scores: Tensor, loss: str) -> Tensor:
    """Scores (N, classes) -> probabilities, as the loss of that name took the scores.

    cross_entropy takes logits and nll their logarithms. mse fits one-hot targets, of which the
    best estimate is the probability itself.
    """
    if loss != "mse":
        return scores.softmax(1)
    shares = scores.clamp(min=0)
    return shares / shares.sum(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
