"""Every optimizer that a recipe can name: torch.optim's and our own."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402

from cnncalc.spec import train_section  # noqa: E402
from cnncalc.spec.json_schema import json_schema  # noqa: E402
from cnncalc.spec.train_section import OptimizerRecipe  # noqa: E402
from cnncalc.training.step.optimizers import OPTIMIZERS, make_optimizer, optimizer  # noqa: E402


class Squares(nn.Module):
    """The distance of a matrix from ones."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 4))

    def forward(self) -> Any:
        return (self.weight - 1).square().sum()


def learn(model: Any, chosen: Any, steps: int) -> float:
    """The loss after so many steps."""
    for _ in range(steps):
        model().backward()
        chosen.step()
        chosen.zero_grad()
    return float(model().detach())


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_it_learns_and_goes_on_from_a_checkpoint(name: str) -> None:
    recipe = OptimizerRecipe(name=name, lr=0.01)
    model = Squares()
    chosen = make_optimizer(model, recipe)
    assert learn(model, chosen, 20) < 12
    other = Squares()
    other.load_state_dict(model.state_dict())
    resumed = make_optimizer(other, recipe)
    resumed.load_state_dict(copy.deepcopy(chosen.state_dict()))
    learn(model, chosen, 5)
    learn(other, resumed, 5)
    assert torch.equal(model.weight, other.weight), f"{name} forgets some of its state"


def test_editors_suggest_every_one() -> None:
    """Those of other versions of PyTorch may be named; our own must be."""
    ours = [name for name, cls in OPTIMIZERS.items() if not cls.__module__.startswith("torch.")]
    where = "OPTIMIZERS of spec/train_section.py does not name it"
    unnamed = [f"{name}: {where}" for name in ours if name not in train_section.OPTIMIZERS]
    assert unnamed == []
    place = "training/step/optimizers.py has no such optimizer"
    unknown = [name for name in train_section.OPTIMIZERS if name not in OPTIMIZERS]
    assert [f"{name}: {place}" for name in unknown] == []
    suggested = json.dumps({"examples": train_section.OPTIMIZERS}).strip("{}")
    assert suggested in json.dumps(json_schema())


def test_a_name_is_taken_once() -> None:
    class SGD(torch.optim.SGD):
        pass

    with pytest.raises(TypeError, match="there is an optimizer sgd already"):
        optimizer(SGD)


def test_a_planted_one_is_named_by_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncalc.training.step.optimizers.OPTIMIZERS", dict(OPTIMIZERS))

    @optimizer
    class Gentle(torch.optim.SGD):
        """It has momentum, and no nesterov."""

        def __init__(self, params: Any, lr: float, momentum: float = 0, much: float = 1) -> None:
            super().__init__(params, lr / much, momentum)

    recipe = OptimizerRecipe(name="gentle", lr=0.5, momentum=0.9, options={"much": 5})
    (group,) = make_optimizer(Squares(), recipe).param_groups
    assert (group["lr"], group["momentum"]) == (0.1, 0.9)
    for wrong, path in (
        (OptimizerRecipe(name="gentle", weight_decay=0.1), "weight_decay"),
        (OptimizerRecipe(name="gentle", options={"more": 5}), "options.more"),
    ):
        with pytest.raises(Exception, match="Gentle has no such option") as caught:
            make_optimizer(Squares(), wrong)
        assert caught.value.path == f"train.optimizer.{path}"
