"""A tiny network, its data, and runs of it by any recipe."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

import cnncalc
from support import conv, network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from cnncalc.spec.train_section import Recipe  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.device import Setting  # noqa: E402
from cnncalc.training.feeding.batches import Batch  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

CLASSES, SIDE, IMAGES, BATCH = 3, 6, 48, 12
LAYERS = [conv(4, 3), "relu", {"layer_norm": {}}, "flatten", {"linear": CLASSES}]
WEIGHTED = ("conv1", "layer_norm1", "linear1")
NET = network([1, SIDE, SIDE], *LAYERS, name="tiny")
STEPS = IMAGES // BATCH
"""In an epoch."""
SPE, TOTAL = 7, 35
"""Steps an epoch, and in all, where schedules are drawn."""
SETTING = Setting(torch.device("cpu"), torch.float32, channels_last=False)


def recipe_of(spec: Any = None, **settings: Any) -> Recipe:
    """The recipe of a network with settings on top; `a__b` stands for a.b."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return cnncalc.load(spec or NET).recipe(named)


def images(count: int = IMAGES) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (count, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return x, torch.arange(count) % CLASSES


def train(folder: Path, *, spec: Any = None, data: Any = None, **settings: Any) -> api.Run:
    """A run on tensors, without a test split."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    options: dict[str, Any] = {"batch_size": BATCH, **named}
    return api.train(
        spec or NET, data=data or images(), output=folder, settings=options, device="cpu"
    )


def rows(run: api.Run, *columns: str) -> list[tuple[float, ...]]:
    return [tuple(float(row[column]) for column in columns) for row in run.metrics]


def model_of(recipe: Recipe, seed: int = 0) -> tuple[Learner, nn.Module]:
    """A learner of the tiny network, and a copy of its model that it never sees."""
    model = cnncalc.build(NET, seed=seed)
    twin = copy.deepcopy(model)
    return Learner(model, recipe, SETTING, STEPS), twin


def batches(count: int, size: int = BATCH) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(count):
        x = torch.randn(size, 1, SIDE, SIDE, generator=generator)
        labels = torch.randint(CLASSES, (size,), generator=generator)
        made.append(Batch(x, labels, labels))
    return made


def assert_close(one: nn.Module, other: nn.Module, tolerance: float = 1e-6) -> None:
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance, msg=f"{name} differs")
