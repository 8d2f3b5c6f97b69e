"""Schedules of the learning rate against PyTorch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

from cnncalc.network.expansion import build_graph  # noqa: E402
from cnncalc.spec import bundled as library  # noqa: E402
from cnncalc.spec.train_section import Recipe  # noqa: E402
from cnncalc.training.recipe_checks import check_recipe  # noqa: E402
from cnncalc.training.step.schedules import make_schedule  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

from support.recipes import SPE, TOTAL, recipe_of, rows, train  # noqa: E402

pytestmark = pytest.mark.training


def factors(**settings: Any) -> list[float]:
    factor = make_schedule(recipe_of(schedule=settings).schedule, SPE, TOTAL)
    return [factor(step) for step in range(TOTAL)]


def torchs(make: Any, count: int = TOTAL, **options: Any) -> list[float]:
    """What one of torch's schedulers makes of a learning rate of 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer, **options)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("settings", "scheduler", "options"),
    [
        ({"name": "step", "every": 2}, lr_scheduler.StepLR, {"step_size": 14, "gamma": 0.1}),
        (
            {"name": "step", "every": 0.5, "factor": "=1/1.5"},
            lr_scheduler.StepLR,
            {"step_size": 4, "gamma": 1 / 1.5},
        ),
        (
            {"name": "multistep", "at": [1, 2.6, 4], "factor": 0.5},
            lr_scheduler.MultiStepLR,
            {"milestones": [7, 18, 28], "gamma": 0.5},
        ),
        (
            {"name": "cosine", "final": 0.05},
            lr_scheduler.CosineAnnealingLR,
            {"T_max": TOTAL - 1, "eta_min": 0.05},
        ),
        (
            {"name": "linear", "final": 0.2},
            lr_scheduler.LinearLR,
            {"start_factor": 1.0, "end_factor": 0.2, "total_iters": TOTAL - 1},
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) and "name" in value else "",
)
def test_schedules_are_torchs_own(settings: Any, scheduler: Any, options: Any) -> None:
    assert factors(**settings) == pytest.approx(torchs(scheduler, **options), abs=1e-12)


def test_warm_up_is_torchs_linear_rise_and_the_curve_comes_after_it() -> None:
    warm = 2 * SPE
    rise = torchs(
        lr_scheduler.LinearLR, warm, start_factor=1 / warm, end_factor=1.0, total_iters=warm - 1
    )
    fall = torchs(lr_scheduler.CosineAnnealingLR, TOTAL - warm, T_max=TOTAL - warm - 1)
    found = factors(name="cosine", warmup=2)
    assert found == pytest.approx(rise + fall, abs=1e-12)
    assert found[-1] == pytest.approx(0)


def test_warm_up_does_not_move_the_drops() -> None:
    plain, warm = (factors(name="multistep", at=[2, 3], warmup=warmup) for warmup in (0, 1))
    assert warm[:SPE] == pytest.approx([(step + 1) / SPE for step in range(SPE)])
    assert warm[SPE:] == plain[SPE:]


@pytest.mark.parametrize("rise", [0.3, 0.5])
def test_one_cycle_rises_as_torchs_linear_one_and_falls_as_its_cosine(rise: float) -> None:
    final, peak = 0.01, round(rise * (TOTAL - 1))
    options = {"max_lr": 1.0, "total_steps": TOTAL, "pct_start": (peak + 1) / TOTAL}
    linear, cosine = (
        torchs(
            lr_scheduler.OneCycleLR,
            TOTAL - 1,
            anneal_strategy=strategy,
            div_factor=peak + 1,
            final_div_factor=1 / (peak + 1) / final,
            cycle_momentum=False,
            **options,
        )
        for strategy in ("linear", "cos")
    )
    found = factors(name="onecycle", rise=rise, final=final)
    assert found[:-1] == pytest.approx(linear[:peak] + cosine[peak:], abs=1e-12)
    assert (found[peak], found[-1]) == (1, pytest.approx(final))


def test_one_cycle_that_does_not_rise_is_a_cosine() -> None:
    assert factors(name="onecycle", rise=0) == pytest.approx(factors(name="cosine"))


def test_constant_is_constant() -> None:
    assert factors(name="constant") == [1.0] * TOTAL


@given(
    name=st.sampled_from(["cosine", "linear", "onecycle"]),
    final=st.floats(0, 1),
    steps=st.integers(1, 200),
    warmup=st.floats(0, 3),
)
def test_curves_stay_between_their_ends(name: str, final: float, steps: int, warmup: float) -> None:
    fields = {"name": name, "final": final} | ({"warmup": warmup} if name != "onecycle" else {})
    factor = make_schedule(recipe_of(schedule=fields).schedule, SPE, steps)
    curve = [factor(step) for step in range(steps)]
    assert all(0 <= value <= 1 + 1e-12 for value in curve)
    if steps > round(warmup * SPE) + 1 or name == "onecycle":
        assert max(curve) == pytest.approx(1)
        assert steps == 1 or curve[-1] == pytest.approx(final)


def test_a_run_follows_its_schedule_at_every_step(tmp_path: Path) -> None:
    schedule = {"name": "step", "every": 0.5, "factor": 0.5}
    run = train(tmp_path / "run", epochs=2, schedule=schedule, optimizer__lr=0.8)
    assert rows(run, "step", "lr") == [(4, pytest.approx(0.4)), (8, pytest.approx(0.1))]


def test_lecture_3_trains_lenet_at_a_quarter_divided_by_one_and_a_half() -> None:
    """L3: LeNet5 on MNIST, 469 steps an epoch; VGG on CIFAR-10, 391."""
    recipe = cnncalc.load("lenet5_wide").recipe()
    factor = make_schedule(recipe.schedule, 469, 469 * 30)
    rates = [recipe.optimizer.lr * factor(469 * epoch) for epoch in range(30)]
    assert rates == pytest.approx([0.25 / 1.5 ** (epoch // 5) for epoch in range(30)])
    recipe = cnncalc.load("vgg").recipe()
    factor = make_schedule(recipe.schedule, 391, 391 * 20)
    rates = [recipe.optimizer.lr * factor(391 * epoch) for epoch in range(20)]
    assert rates == [0.25] * 10 + [0.125] * 4 + [0.0625] * 4 + [0.03125] * 2


@pytest.mark.parametrize("file", library.files(), ids=lambda file: file.stem)
def test_recipes_of_the_bundled_networks_suit_them(file: Path) -> None:
    network = cnncalc.load(file)
    recipe = network.recipe()
    if network.train is not None:
        check_recipe(recipe, build_graph(network))
        assert recipe.data.name in ("digits", "mnist", "cifar10")
    else:
        assert recipe == Recipe()
