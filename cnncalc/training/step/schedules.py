"""Learning rates as a function of the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.spec.train_section import ScheduleRecipe


def make_schedule(
    recipe: ScheduleRecipe, steps_per_epoch: int, steps: int
) -> Callable[[int], float]:
    """Step -> the factor of the learning rate, for the steps 0 to `steps` − 1."""
    warmup = round(recipe.warmup * steps_per_epoch)
    curve = _curve(recipe, steps_per_epoch, max(steps - warmup, 1))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return curve(step if recipe.name in ("step", "multistep") else step - warmup)

    return factor


def _curve(recipe: ScheduleRecipe, steps_per_epoch: int, steps: int) -> Callable[[int], float]:
    final, last = recipe.final, max(steps - 1, 1)
    if recipe.name == "step":
        every = max(round((recipe.every or 1) * steps_per_epoch), 1)
        return lambda step: recipe.factor ** (step // every)
    if recipe.name == "multistep":
        drops = [round(epoch * steps_per_epoch) for epoch in recipe.at]
        return lambda step: recipe.factor ** sum(step >= drop for drop in drops)
    if recipe.name == "cosine":
        return lambda step: final + (1 - final) * (1 + math.cos(math.pi * step / last)) / 2
    if recipe.name == "linear":
        return lambda step: 1 - (1 - final) * step / last
    if recipe.name == "onecycle":
        peak = round(recipe.rise * last)
        return lambda step: (
            (step + 1) / (peak + 1)
            if step < peak
            else final
            + (1 - final) * (1 + math.cos(math.pi * (step - peak) / max(last - peak, 1))) / 2
        )
    return lambda step: 1.0
