"""Optimizers of torch.optim by name, and learning rates as a function of the step."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cnncalc.errors import UsageError, did_you_mean, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cnncalc.recipe import OptimizerRecipe, ScheduleRecipe

OPTIMIZERS = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer)
}
"""Every optimizer of torch.optim by its name in small letters."""
NEEDS_CLOSURE = ("lbfgs",)


def make_optimizer(model: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """The optimizer of a model's trainable weights; fused where PyTorch has it.

    Weight decay leaves weights of one axis alone (biases, normalisation) unless `decay_all`.

    Raises:
        UsageError: torch.optim has no such optimizer, or it has no such option.
    """
    name = recipe.name.lower()
    cls = OPTIMIZERS.get(name)
    if cls is None or name in (*NEEDS_CLOSURE, "optimizer"):
        raise UsageError(
            f"train.optimizer.name: no optimizer {shorten(recipe.name)};"
            f" {did_you_mean(name, OPTIMIZERS)}"
        )
    accepted = inspect.signature(cls).parameters
    chosen = {
        key: getattr(recipe, key)
        for key in ("momentum", "nesterov", "betas")
        if getattr(recipe, key) not in (None, False)
    }
    options: dict[str, Any] = {"lr": recipe.lr, **chosen, **recipe.options}
    for key in options:
        if key not in accepted or key in ("params", "weight_decay"):
            hint = did_you_mean(key, accepted)
            raise UsageError(f"train.optimizer.{key}: {cls.__name__} has no such option; {hint}")
    groups = _groups(model, recipe) if "weight_decay" in accepted else [*_trained(model)]
    if "fused" in accepted and "fused" not in options:
        options["fused"] = True
    try:
        return cls(groups, **options)
    except (ValueError, TypeError, RuntimeError):
        if options.pop("fused", None):
            try:
                return cls(groups, **options)  # fused kernels do not take these weights
            except (ValueError, TypeError) as other:
                error = other
        raise UsageError(f"train.optimizer: {cls.__name__}: {error}") from None


def _trained(model: nn.Module) -> Iterable[nn.Parameter]:
    return (weight for weight in model.parameters() if weight.requires_grad)


def _groups(model: nn.Module, recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for weight in _trained(model):
        (decayed if recipe.decay_all or weight.dim() > 1 else spared).append(weight)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


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
        peak = max(round(recipe.rise * last), 1)
        return lambda step: (
            (step + 1) / (peak + 1)
            if step < peak
            else final
            + (1 - final) * (1 + math.cos(math.pi * (step - peak) / max(last - peak, 1))) / 2
        )
    return lambda step: 1.0
