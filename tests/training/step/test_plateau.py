"""A run that learns nothing says so: its scores hardly depend on the image."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support import network
from support.processes import invoke

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from torch.nn import functional as F  # noqa: E402, N812

from cnncalc.training.step.plateau import loss_of_a_guess, spread_of  # noqa: E402

pytestmark = [pytest.mark.training, pytest.mark.many_steps]

WIDE = 16
DEEP = [layer for _ in range(12) for layer in ({"linear": WIDE}, "relu")]
"""With PyTorch's own weights, what depends on the image dwindles from layer to layer."""
LAST_ADVICE = "batch_norm before each activation, train.schedule.warmup, a lower lr or a higher one"
FLOAT32 = ("--precision", "float32")


def deep(*layers: Any, **keys: Any) -> dict[str, Any]:
    return network([1, 8, 8], "flatten", *(layers or DEEP), {"linear": 10}, name="deep", **keys)


def trained(spec: dict[str, Any], tmp_path: Path, *options: str) -> tuple[list[str], list[str]]:
    """What a run says after its head: the rows of its epochs, and all else."""
    path = tmp_path / "deep.yaml"
    path.write_text(json.dumps(spec), encoding="utf-8")
    settings = ("--data", "digits", "--batch-size", "8", "--lr", "0.1", "--device", "cpu")
    status, out, err = invoke(
        "train", str(path), *settings, *FLOAT32, "-o", str(tmp_path / "run"), *options
    )
    assert (status, out) == (0, f"{tmp_path / 'run'}\n"), err
    lines = err.split("images/s\n", 1)[1].splitlines()
    rows = [line for line in lines if line.split()[0].isdigit()]
    return rows, [line for line in lines if line not in rows]


def test_a_deep_network_with_weak_weights_is_told_what_to_try(tmp_path: Path) -> None:
    """An epoch has 180 steps: two of them are enough to say so, and it is said once."""
    rows, said = trained(deep(), tmp_path, "--epochs", "3")
    assert len(rows) == 3
    assert said == [
        "the loss has stood at ln 10, what a guess costs, for 2 epochs: the scores hardly depend on"
        f" the image; try init: xavier in the file, {LAST_ADVICE}"
    ]


@pytest.mark.parametrize(
    ("changes", "layers"),
    [({"init": "kaiming"}, DEEP), ({}, [{"linear": WIDE}, "relu"])],
    ids=["kaiming", "shallow"],
)
def test_a_network_that_learns_is_told_nothing(
    changes: dict[str, Any], layers: list[Any], tmp_path: Path
) -> None:
    rows, said = trained(deep(*layers, **changes), tmp_path, "--epochs", "3")
    assert len(rows) == 3
    assert said == []


def test_what_was_tried_is_not_advised(tmp_path: Path) -> None:
    spec = deep({"linear": WIDE}, "batch_norm", "relu", *DEEP, init={"weights": "trunc_normal"})
    warm = ("--set", "train.schedule.warmup=1")
    _, said = trained(spec, tmp_path, "--epochs", "2", *warm)
    assert len(said) == 1
    assert said[0].endswith("the scores hardly depend on the image; try a lower lr or a higher one")


def test_weights_that_died_are_above_a_guess(tmp_path: Path) -> None:
    """A step too large kills every ReLU: what is left is a bias that jumps about."""
    spec = deep({"linear": WIDE}, "relu", init="kaiming")
    rows, said = trained(spec, tmp_path, "--epochs", "2", "--lr", "10")
    assert len(rows) == 2
    assert len(said) == 1
    assert ", above ln 10, what a guess costs, for 2 epochs: the scores hardly" in said[0]


@pytest.mark.exhaustive
def test_a_loss_of_other_kind_is_compared_with_its_own_guess(tmp_path: Path) -> None:
    _, said = trained(deep(), tmp_path, "--epochs", "2", "--set", "train.loss=mse")
    assert len(said) == 1
    assert said[0].startswith("the loss has stood at 0.090, what a guess costs, for 2 epochs:")


@pytest.mark.exhaustive
def test_scores_of_l3s_vgg_depend_on_the_image_from_the_start() -> None:
    """Beside what all images share; with PyTorch's own weights that is less than 2%.

    It survives a forward pass in bfloat16 as well.
    """
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def dependence(scores: Any) -> Any:
        return scores.float() - scores.float().mean(0)

    def share(model: Any) -> float:
        scores = model(images)
        return float(dependence(scores).square().mean() / scores.mean(0).square().mean()) ** 0.5

    network = cnncalc.load("vgg")
    model = cnncalc.build(network, seed=0)
    with torch.no_grad():
        assert share(model) > 0.1
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(images)
        both = torch.stack([dependence(each).flatten() for each in (model(images), rounded)])
        assert torch.corrcoef(both)[0, 1] > 0.99
        plain = network.model_copy(update={"init": {}})
        assert share(cnncalc.build(plain, seed=0)) < 0.02


def test_one_class_is_never_guessed_wrong(tmp_path: Path) -> None:
    """Its loss is 0 whatever the scores are: nothing is left to be learnt."""
    import numpy as np

    archive = tmp_path / "one.npz"
    images = np.random.default_rng(0).random((400, 1, 4, 4), dtype=np.float32)
    np.savez(archive, x_train=images, y_train=np.zeros(400, int))
    spec = tmp_path / "one.yaml"
    spec.write_text(json.dumps(network([1, 4, 4], "flatten", {"linear": 1})), encoding="utf-8")
    settings = ("--data", "npz", "--data-dir", str(archive), "--batch-size", "2", "--epochs", "2")
    options = ("--device", "cpu", *FLOAT32, "-o", str(tmp_path / "run"))
    status, _, err = invoke("train", str(spec), *settings, *options)
    assert status == 0, err
    assert "stood" not in err


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_a_guess_is_the_best_of_constant_scores(smoothing: float) -> None:
    """Found by descent, through PyTorch's own loss of unevenly frequent classes."""
    from cnncalc.spec.train_section import LossRecipe

    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    scores = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(scores.expand(10, 3), labels, label_smoothing=smoothing)
        loss.backward()
        return loss

    optimizer.step(closure)
    recipe = LossRecipe(label_smoothing=smoothing)
    shares = labels.bincount().double() / 10
    assert loss_of_a_guess(recipe, shares) == pytest.approx(float(closure().detach()), rel=1e-6)


def test_guesses_of_the_other_losses() -> None:
    from cnncalc.spec.train_section import LossRecipe

    equal, uneven = torch.full((4,), 0.25).double(), torch.tensor([0.9, 0.1]).double()
    assert loss_of_a_guess(LossRecipe(name="nll"), equal) == pytest.approx(math.log(4))
    targets = F.one_hot(torch.tensor([0] * 9 + [1]), 2).double()
    least = float((targets - targets.mean(0)).square().mean())
    assert loss_of_a_guess(LossRecipe(name="mse"), uneven) == pytest.approx(least)


def test_the_spread_of_scores() -> None:
    """0 where all images have the same, more than 0.9 where each is sure of another class."""
    from cnncalc.spec.train_section import LossRecipe

    recipe = LossRecipe()
    same = torch.randn(1, 10).expand(20, 10)
    sure = 50 * torch.eye(10)
    assert spread_of(recipe, same) == pytest.approx(0, abs=1e-6)
    assert spread_of(recipe, sure) == pytest.approx(0.9)
    assert spread_of(recipe, sure.bfloat16()) == pytest.approx(0.9)
    assert spread_of(recipe, sure[:1]) is None
    assert spread_of(recipe, None) is None


def test_a_guess_counts_classes_without_an_image() -> None:
    """Label smoothing gives them their share: q = 0.9·p + 0.1/10, whose entropy is the guess."""
    from cnncalc.network.expansion import build_graph
    from cnncalc.training.device import Setting
    from cnncalc.training.step.plateau import Plateau

    network = cnncalc.load(deep())
    recipe = network.recipe({"loss.label_smoothing": 0.1})
    setting = Setting(torch.device("cpu"), torch.float32, True)
    plateau = Plateau(recipe, setting, build_graph(network), torch.arange(9).repeat(4))
    shares = [0.9 / 9 + 0.01] * 9 + [0.01]
    assert plateau.guess == pytest.approx(-sum(q * math.log(q) for q in shares))
    assert plateau.classes == 10
