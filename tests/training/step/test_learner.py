"""Optimizers and what a learner does around them, against PyTorch's own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from support import conv, network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402
from cnncalc.training.step.optimizers import make_optimizer  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

from support.recipes import (  # noqa: E402
    LAYERS,
    NET,
    SETTING,
    SIDE,
    STEPS,
    WEIGHTED,
    assert_close,
    batches,
    images,
    model_of,
    recipe_of,
    rows,
    train,
)

pytestmark = pytest.mark.training


OPTIMIZERS: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "sgd": ({}, torch.optim.SGD, {}),
    "momentum": ({"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "decay_all": True},
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ),
    "dampening": (
        {"momentum": 0.9, "options": {"dampening": 0.5}},
        torch.optim.SGD,
        {"momentum": 0.9, "dampening": 0.5},
    ),
    "adam": ({"name": "adam", "betas": [0.8, 0.9]}, torch.optim.Adam, {"betas": (0.8, 0.9)}),
    "adamw": (
        {"name": "AdamW", "weight_decay": 0.2, "decay_all": True},
        torch.optim.AdamW,
        {"weight_decay": 0.2},
    ),
    "rmsprop": ({"name": "rmsprop", "momentum": 0.5}, torch.optim.RMSprop, {"momentum": 0.5}),
    "adagrad": (
        {"name": "adagrad", "options": {"lr_decay": "=1/2"}},
        torch.optim.Adagrad,
        {"lr_decay": 0.5},
    ),
    "rprop": ({"name": "rprop"}, torch.optim.Rprop, {}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch_optim(name: str) -> None:
    fields, cls, options = OPTIMIZERS[name]
    learner, twin = model_of(recipe_of(optimizer={"lr": 0.02, **fields}))
    plain = {} if cls is torch.optim.Rprop else {"weight_decay": 0.0}
    optimizer = cls(twin.parameters(), lr=0.02, foreach=False, **{**plain, **options})
    start = copy.deepcopy(twin)
    for batch in batches(4):
        learner.learn(batch)
        optimizer.zero_grad()
        F.cross_entropy(twin(batch.images), batch.labels).backward()
        optimizer.step()
    assert_close(learner.model, twin)
    assert any(
        not torch.equal(a, b) for a, b in zip(start.parameters(), twin.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("fields", "decayed"),
    [
        ({}, {"conv1.weight", "linear1.weight"}),
        ({"decay_all": True}, {f"{layer}.{of}" for layer in WEIGHTED for of in ("weight", "bias")}),
        ({"no_decay": ["linear1.weight"]}, {"conv1.weight"}),
        (
            {"no_decay": ["*.bias", "layer_norm*"], "decay_all": True},
            {"conv1.weight", "linear1.weight"},
        ),
    ],
    ids=["weights of several axes", "all", "but one", "all but patterns"],
)
def test_what_decays(fields: dict[str, Any], decayed: set[str]) -> None:
    recipe = recipe_of(optimizer={"name": "adamw", "weight_decay": 0.3, **fields})
    model = cnncalc.build(NET)
    names = {id(weight): name for name, weight in model.named_parameters()}
    groups = make_optimizer(model, recipe.optimizer).param_groups
    found = {
        names[id(weight)]: group["weight_decay"] for group in groups for weight in group["params"]
    }
    assert found == {name: 0.3 if name in decayed else 0.0 for name in names.values()}


def test_frozen_weights_are_left_alone() -> None:
    spec = network([1, SIDE, SIDE], {**conv(4, 3), "frozen": True}, *LAYERS[1:], name="frozen")
    model = cnncalc.build(spec)
    before = copy.deepcopy(model)
    recipe = recipe_of(spec, optimizer__weight_decay=0.5, optimizer__decay_all=True, ema=0.5)
    learner = Learner(model, recipe, SETTING, STEPS)
    learner.learn(batches(1)[0])
    assert torch.equal(model.conv1.weight, before.conv1.weight)
    assert not torch.equal(model.linear1.weight, before.linear1.weight)


def test_clipping_is_clip_grad_norm() -> None:
    learner, twin = model_of(recipe_of(clip=0.05, optimizer__lr=1.0))
    batch = batches(1)[0]
    start = [weight.detach().clone() for weight in twin.parameters()]
    F.cross_entropy(twin(batch.images), batch.labels).backward()
    assert nn.utils.clip_grad_norm_(twin.parameters(), 0.05) > 0.05
    torch.optim.SGD(twin.parameters(), lr=1.0).step()
    learner.learn(batch)
    assert_close(learner.model, twin)
    ours = learner.model.parameters()
    moved = torch.cat([(new - old).flatten() for new, old in zip(ours, start, strict=True)])
    assert moved.detach().norm().item() == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize(("size", "parts"), [(12, 3), (12, 5), (7, 3), (2, 3)])
def test_accumulation_is_the_whole_batch(size: int, parts: int) -> None:
    """Also where the parts are unequal, or fewer than asked for."""
    fields = {"clip": 0.5, "optimizer__lr": 0.5, "loss__label_smoothing": 0.1}
    (whole, _), (split, _) = (
        model_of(recipe_of(accumulate=accumulate, **fields)) for accumulate in (1, parts)
    )
    for batch in batches(3, size):
        whole.learn(batch)
        split.learn(batch)
    assert_close(whole.model, split.model)
    for learner in (whole, split):
        assert learner.tally.look() is None
    assert split.tally.loss == pytest.approx(whole.tally.loss, rel=1e-5)
    assert split.tally.count == whole.tally.count == 3 * size


def test_the_moving_average_by_hand() -> None:
    learner, _ = model_of(recipe_of(ema=0.25, optimizer__lr=0.5))
    expected = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
    for step, batch in enumerate(batches(5), start=1):
        learner.learn(batch)
        decay = min(0.25, (1 + step) / (10 + step))
        for name, value in learner.model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * value.detach()
    assert learner.average is not None
    now = copy.deepcopy(learner.model)
    with learner.average.applied(learner.model):
        for name, value in learner.model.named_parameters():
            torch.testing.assert_close(value.detach(), expected[name], rtol=0, atol=1e-6)
    assert_close(learner.model, now, 0)


def test_a_run_is_evaluated_with_its_average(tmp_path: Path) -> None:
    x, y = images()
    data = {"train": (x, y), "test": (x, y)}
    run = train(tmp_path / "run", data=data, epochs=2, ema=0.9, precision="float32")
    state = read_checkpoint(run.folder / "checkpoints" / "last.pt")
    model = cnncalc.build(NET).eval()
    for weight, average in zip(model.parameters(), state["average"]["weights"], strict=True):
        weight.data.copy_(average)
    scaled = x / 255
    scores = model((scaled - scaled.mean()) / scaled.std(correction=0))
    loss = F.cross_entropy(scores, y).item()
    assert rows(run, "test_loss")[-1][0] == pytest.approx(loss, rel=1e-4)
