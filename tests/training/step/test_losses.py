"""Losses by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn import functional as F  # noqa: E402, N812

from cnncalc.training.step.losses import loss_function  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

from support.recipes import CLASSES, LAYERS, SIDE, recipe_of, rows, train  # noqa: E402

pytestmark = pytest.mark.training


SCORES = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -3.0]])
LABELS = torch.tensor([0, 2])
SHARES = torch.tensor([[0.7, 0.0, 0.3], [0.0, 0.5, 0.5]])


def targets_by_hand(targets: Any, smoothing: float) -> Any:
    shares = torch.eye(CLASSES)[targets] if targets.dim() == 1 else targets
    return (1 - smoothing) * shares + smoothing / CLASSES


@pytest.mark.parametrize("targets", [LABELS, SHARES], ids=["classes", "shares"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_by_hand(targets: Any, smoothing: float) -> None:
    recipe = recipe_of(loss={"label_smoothing": smoothing}).loss
    each = -(targets_by_hand(targets, smoothing) * SCORES.log_softmax(1)).sum(1)
    torch.testing.assert_close(loss_function(recipe)(SCORES, targets), each.mean())


@pytest.mark.parametrize("targets", [LABELS, SHARES], ids=["classes", "shares"])
def test_squared_errors_by_hand(targets: Any) -> None:
    expected = F.mse_loss(SCORES, targets_by_hand(targets, 0))
    found = loss_function(recipe_of(loss="mse").loss)(SCORES, targets)
    torch.testing.assert_close(found, expected)
    halves = SCORES.bfloat16()
    assert loss_function(recipe_of(loss="mse").loss)(halves, targets).dtype == torch.float32


@pytest.mark.parametrize("targets", [LABELS, SHARES], ids=["classes", "shares"])
def test_nll_of_log_probabilities_is_the_cross_entropy(targets: Any) -> None:
    found = loss_function(recipe_of(loss="nll").loss)(SCORES.log_softmax(1), targets)
    torch.testing.assert_close(found, F.cross_entropy(SCORES, targets))


@pytest.mark.parametrize("name", ["cross_entropy", "mse", "nll"])
def test_each_samples_loss_is_without_smoothing_and_averages_to_the_loss(name: str) -> None:
    fields = {"name": name} | ({"label_smoothing": 0.3} if name == "cross_entropy" else {})
    each = loss_function(recipe_of(loss=fields).loss, "none")(SCORES, LABELS)
    plain = loss_function(recipe_of(loss=name).loss)(SCORES, LABELS)
    assert each.shape == (2,)
    torch.testing.assert_close(each.mean(), plain)


@pytest.mark.parametrize("name", ["mse", "nll"])
def test_a_run_minimises_its_loss(name: str, tmp_path: Path) -> None:
    layers = [*LAYERS, *([] if name == "mse" else ["log_softmax"])]
    spec = network([1, SIDE, SIDE], *layers, name="tiny")
    run = train(tmp_path / "run", spec=spec, epochs=8, loss=name, augment__mixup=0.2)
    losses = [loss for (loss,) in rows(run, "train_loss")]
    assert losses[-1] < losses[0]
