"""Optimizers by name: those of torch.optim, and our own.

One of our own is a class as torch.optim's are, with `@optimizer`: its name in small letters is what
recipes call it, and the arguments of its `__init__` are the fields and options that it takes.
"""

from __future__ import annotations

import inspect
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from cnncalc.errors import FieldError, did_you_mean, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.spec.train_section import OptimizerRecipe

Own = TypeVar("Own", bound=torch.optim.Optimizer)

OPTIMIZERS = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls)
    and issubclass(cls, torch.optim.Optimizer)
    # The base; one that calls the loss itself; one for sparse gradients.
    and name not in ("Optimizer", "LBFGS", "SparseAdam")
}
"""By their names in small letters."""
UNUSABLE = ("params", "differentiable")


def optimizer(cls: type[Own]) -> type[Own]:
    """Makes a class an optimizer that recipes can name.

    Raises:
        TypeError: there is one of that name.
    """
    name = cls.__name__.lower()
    if name in OPTIMIZERS:
        raise TypeError(f"there is an optimizer {name} already: {OPTIMIZERS[name]}")
    OPTIMIZERS[name] = cls
    return cls


def make_optimizer(model: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """The optimizer of a model's trainable weights; fused where PyTorch has it.

    Weight decay leaves weights of one axis alone (biases, normalisation) unless `decay_all`, and
    those that `no_decay` names.

    Raises:
        FieldError: torch.optim has no such optimizer, or it has no such option.
    """
    path = "train.optimizer"
    cls = OPTIMIZERS.get(recipe.name.lower())
    if cls is None:
        raise FieldError(
            f"there is no optimizer {shorten(recipe.name)}",
            path=f"{path}.name",
            hint=did_you_mean(recipe.name.lower(), OPTIMIZERS) or "sgd and adamw are usual",
        )
    accepted = inspect.signature(cls).parameters
    for key in recipe.options:
        if key not in accepted or key in UNUSABLE:
            raise _no_option(cls, key, f"{path}.options", accepted)
    fields = [name for name in type(recipe).model_fields if name not in recipe.of_any]
    chosen = {key: getattr(recipe, key) for key in fields if getattr(recipe, key)}
    for key in chosen:
        if key not in accepted:
            raise _no_option(cls, key, path, accepted)
    decay = chosen.pop("weight_decay", 0.0)
    groups = _groups(model, recipe, decay) if "weight_decay" in accepted else [*_trained(model)]
    options: dict[str, Any] = {"lr": recipe.lr, **chosen, **recipe.options}
    if "fused" in accepted and "fused" not in options:
        options["fused"] = True
    try:
        return cls(groups, **options)
    except (ValueError, TypeError, RuntimeError) as first:
        error: Exception = first
        if options.pop("fused", None):
            try:
                return cls(groups, **options)  # fused kernels do not take these weights
            except (ValueError, TypeError, RuntimeError) as other:
                error = other
        raise FieldError(f"{cls.__name__}: {error}", path=path) from None


def _no_option(cls: type, key: str, path: str, accepted: Iterable[str]) -> FieldError:
    known = [name for name in accepted if name not in (*UNUSABLE, "lr", "weight_decay")]
    return FieldError(
        f"{cls.__name__} has no such option",
        path=f"{path}.{key}",
        hint=did_you_mean(key, known),
    )


def _trained(model: nn.Module) -> Iterable[nn.Parameter]:
    return (weight for weight in model.parameters() if weight.requires_grad)


def _groups(model: nn.Module, recipe: OptimizerRecipe, decay: float) -> list[dict[str, Any]]:
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    spared = {name for name, weight in named if weight.dim() < 2 and not recipe.decay_all}
    for pattern in recipe.no_decay:
        matched = {name for name, _ in named if fnmatchcase(name, pattern)}
        if not matched:
            raise FieldError(
                f"no weight that trains is called {shorten(pattern)}",
                path="train.optimizer.no_decay",
                hint=did_you_mean(pattern, [name for name, _ in named]),
            )
        spared |= matched
    groups = [
        {"params": [weight for name, weight in named if name not in spared], "weight_decay": decay},
        {"params": [weight for name, weight in named if name in spared], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
