"""A run that learns nothing: its scores hardly depend on the image, and its loss is a guess's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.layers.norm import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from cnncalc.network.graph import Graph
    from cnncalc.spec.train_section import LossRecipe, Recipe
    from cnncalc.training.device import Setting
    from cnncalc.training.step.tally import Tally

STEPS = 200
"""Fewest steps of whole epochs that are called standing still: small data have short epochs."""
GAIN = 0.005
"""Share of a guess's loss that a network must gain to have learnt something."""
SPREAD = 0.05
"""Share of the probability that moves from class to class between images, below which the scores
hardly depend on the image. A network that learns has several times that at the end of an epoch."""


class Standstill(NamedTuple):
    """Whole epochs in which nothing was learnt."""

    epochs: int
    loss: float
    """Of the last of them."""
    guess: float
    """The least loss of scores that are the same for every image."""
    classes: int
    remedies: tuple[str, ...]
    """What the run has not tried yet, the likeliest first."""

    @property
    def text(self) -> str:
        """Where the loss stands, for how long, why, and what to try."""
        balanced = math.isclose(self.guess, math.log(self.classes), rel_tol=GAIN)
        name = f"ln {self.classes}" if balanced else f"{self.guess:.3f}"
        level = f"at {name}, what a guess costs,"
        if self.loss > self.guess * (1 + 2 * GAIN):
            level = f"at {self.loss:.3f}, above {name}, what a guess costs,"
        time = "an epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return (
            f"the loss has stood {level} for {time}: the scores hardly depend on the image;"
            f" try {', '.join(self.remedies[:-1])} or {self.remedies[-1]}"
        )


class Plateau:
    """Asked at the end of each epoch whether the network has learnt anything in it."""

    def __init__(self, recipe: Recipe, setting: Setting, graph: Graph, labels: Tensor) -> None:
        self.recipe = recipe.loss
        self.classes = graph.shape_of(graph.output)[0]
        shares = torch.bincount(labels.cpu(), minlength=self.classes).double()
        self.guess = loss_of_a_guess(self.recipe, shares / shares.sum())
        self.remedies = remedies(recipe, setting, graph)
        self.steps = self.epochs = 0
        self.told = False

    def standstill(self, tally: Tally, steps: int) -> Standstill | None:
        """What to tell at the end of an epoch of so many steps; once for each time it stands."""
        spread = spread_of(self.recipe, tally.recent)
        if spread is None or spread > SPREAD or tally.loss <= self.guess * (1 - GAIN):
            self.steps = self.epochs = 0
            self.told = False
            return None
        self.steps += steps
        self.epochs += 1
        if self.told or self.steps < STEPS:
            return None
        self.told = True
        return Standstill(self.epochs, tally.loss, self.guess, self.classes, self.remedies)


def loss_of_a_guess(recipe: LossRecipe, shares: Tensor) -> float:
    """The least mean loss of scores that do not depend on the image.

    `shares` (classes,) are those of the labels. It is their entropy, ln(classes) if they are
    equal; of squared errors, the mean variance of one-hot labels.
    """
    if recipe.name == "mse":
        return float((shares * (1 - shares)).mean())
    smoothed = shares
    if recipe.name == "cross_entropy":
        smoothed = shares.lerp(torch.full_like(shares, 1 / len(shares)), recipe.label_smoothing)
    return float(-torch.xlogy(smoothed, smoothed).sum())


def spread_of(recipe: LossRecipe, scores: Tensor | None) -> float | None:
    """How much scores (N, classes) depend on the image, from 0 to 1; None of fewer than two.

    The mean distance in total variation between an image's probabilities and the mean of all.
    """
    if scores is None or len(scores) < 2:
        return None
    scores = scores.float()
    probabilities = scores if recipe.name == "mse" else scores.softmax(1)
    return float((probabilities - probabilities.mean(0)).abs().sum(1).mean() / 2)


def remedies(recipe: Recipe, setting: Setting, graph: Graph) -> tuple[str, ...]:
    """What may help, and is not in the file or the recipe yet."""
    normed = any(isinstance(node.layer, Norm) for node in graph.nodes)
    schedule = recipe.schedule
    tried = {
        "init: xavier in the file": graph.init.weights != "default",
        "batch_norm before each activation": normed,
        "train.schedule.warmup": bool(schedule.warmup) or schedule.name == "onecycle",
        "--precision float32": setting.precision == torch.float32,
        "a lower lr": False,
        "a higher one": False,
    }
    return tuple(remedy for remedy, done in tried.items() if not done)
