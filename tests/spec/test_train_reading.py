"""Settings of `train:` as they are written, on the command line and in the file."""

from __future__ import annotations

from typing import Any

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


from support.recipes import NET, recipe_of  # noqa: E402

from cnncalc.cli.options import parse_settings  # noqa: E402
from cnncalc.spec.train_reading import merged_settings  # noqa: E402

pytestmark = pytest.mark.training


WRITTEN = {
    **NET,
    "parameters": {"n": 4},
    "train": {"epochs": "=5*n", "optimizer": {"lr": 0.2, "momentum": 0.9}, "schedule": "linear"},
}


@pytest.mark.parametrize(
    ("text", "section", "field", "value"),
    [
        ("train.schedule={name: multistep, at: [10, 14, 18]}", "schedule", "at", (10, 14, 18)),
        ("train.optimizer.betas=[0.8, 0.99]", "optimizer", "betas", (0.8, 0.99)),
        ("train.optimizer.no_decay=['linear1.*']", "optimizer", "no_decay", ("linear1.*",)),
        ("train.optimizer.options={dampening: 0.1}", "optimizer", "options", {"dampening": 0.1}),
        ("train.optimizer.options.eps==1/n", "optimizer", "options", {"eps": 0.25}),
        ("train.optimizer.lr==n/8", "optimizer", "lr", 0.5),
        ("train.schedule.final=0.1", "schedule", "final", 0.1),
        ("train.augment=2", "augment", "crop", 2),
        ("train.augment.flip=true", "augment", "flip", True),
        ("train.data=mnist", "data", "name", "mnist"),
        ("train.loss=mse", "loss", "name", "mse"),
    ],
)
def test_settings_of_every_form(text: str, section: str, field: str, value: Any) -> None:
    settings, others = parse_settings([text, "n=4"])
    recipe = cnncalc.load(WRITTEN).recipe(settings)
    assert others == ["n=4"]
    assert getattr(getattr(recipe, section), field) == value


def test_a_field_is_set_beside_the_files_and_a_section_replaces_the_files() -> None:
    beside = recipe_of(WRITTEN, optimizer__lr=0.5, schedule__final=0.1)
    assert (beside.optimizer.lr, beside.optimizer.momentum) == (0.5, 0.9)
    assert (beside.schedule.name, beside.schedule.final, beside.epochs) == ("linear", 0.1, 20)
    instead = recipe_of(WRITTEN, optimizer="adam")
    assert (instead.optimizer.lr, instead.optimizer.momentum) == (0.1, None)


def test_steps_take_the_place_of_epochs_and_epochs_of_steps() -> None:
    assert recipe_of(WRITTEN, steps=7).steps == 7
    stepped = {**NET, "train": {"steps": 100}}
    assert recipe_of(stepped, epochs=3).steps is None
    assert recipe_of(WRITTEN, steps=None).epochs == 20
    with pytest.raises(cnncalc.SpecError, match=r"train\.steps: stands beside epochs"):
        recipe_of(NET, steps=7, epochs=3)


def test_settings_of_a_resumed_run_replace_those_it_began_with() -> None:
    old = {"epochs": 5, "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "seed": 3}
    assert merged_settings(old, {"steps": 9}) == {
        "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "seed": 3, "steps": 9,
    }  # fmt: skip
    assert merged_settings(old, {"optimizer": "adam"}) == {
        "epochs": 5, "seed": 3, "optimizer": "adam",
    }  # fmt: skip
