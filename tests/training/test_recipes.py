"""Every field of `train:` does what it says: against PyTorch's own classes and sums by hand."""

from __future__ import annotations

import copy
import itertools
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import conv, network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.optim import lr_scheduler  # noqa: E402

from cnncalc.cli.options import parse_settings  # noqa: E402
from cnncalc.network.expansion import build_graph  # noqa: E402
from cnncalc.spec import bundled as library  # noqa: E402
from cnncalc.spec.train_reading import merged_settings  # noqa: E402
from cnncalc.spec.train_section import Recipe  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.device import Setting  # noqa: E402
from cnncalc.training.feeding.batches import Batch  # noqa: E402
from cnncalc.training.recipe_checks import check_recipe  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402
from cnncalc.training.step.losses import loss_function  # noqa: E402
from cnncalc.training.step.optimizers import make_optimizer  # noqa: E402
from cnncalc.training.step.schedules import make_schedule  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

CLASSES, SIDE, IMAGES, BATCH = 3, 6, 48, 12
LAYERS = [conv(4, 3), "relu", {"layer_norm": {}}, "flatten", {"linear": CLASSES}]
WEIGHTED = ("conv1", "layer_norm1", "linear1")
NET = network([1, SIDE, SIDE], *LAYERS, name="tiny")
STEPS = IMAGES // BATCH
"""In an epoch."""
SPE, TOTAL = 7, 35
"""Steps an epoch, and in all, where schedules are drawn."""
SETTING = Setting(torch.device("cpu"), torch.float32, channels_last=False)

pytestmark = pytest.mark.training


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


# --- settings -------------------------------------------------------------------------------------

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


# --- schedules ------------------------------------------------------------------------------------


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


# --- the optimizer --------------------------------------------------------------------------------


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


# --- the loss -------------------------------------------------------------------------------------

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


# --- the run --------------------------------------------------------------------------------------


def test_bfloat16_computes_in_bfloat16_and_keeps_weights_in_float32(tmp_path: Path) -> None:
    run = train(tmp_path / "run", epochs=3, precision="bfloat16", clip=1.0, accumulate=2)
    summary = json.loads((run.folder / "summary.json").read_text())
    weights = read_checkpoint(run.folder / "checkpoints" / "last.pt")["model"]
    assert summary["precision"] == "bfloat16"
    assert {value.dtype for value in weights.values()} == {torch.float32}
    single = train(tmp_path / "single", epochs=3, precision="float32", clip=1.0, accumulate=2)
    ours, theirs = rows(run, "train_loss"), rows(single, "train_loss")
    assert ours != theirs
    assert [loss for (loss,) in ours] == pytest.approx([loss for (loss,) in theirs], rel=0.05)


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({"epochs": 2}, [4, 8]),
        ({"epochs": 1.5}, [4, 6]),
        ({"epochs": 0.25}, [1]),
        ({"epochs": 0.01}, [1]),
        ({"steps": 5}, [4, 5]),
        ({"steps": 2}, [2]),
        ({"epochs": 2, "batch_size": 13}, [4, 8]),
        ({"epochs": 2, "batch_size": 1000}, [1, 2]),
        ({"epochs": 5, "evaluate_every": 2}, [8, 16, 20]),
        ({"steps": 9, "evaluate_every": 2}, [8, 9]),
    ],
    ids=str,
)
def test_where_a_run_ends_and_is_evaluated(
    settings: dict[str, Any], ends: list[int], tmp_path: Path
) -> None:
    run = train(tmp_path / "run", **settings)
    assert [step for (step,) in rows(run, "step")] == ends


def test_the_pace_of_rare_evaluations_is_that_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that ticks once whenever it is read."""
    paces = set()
    for every in (1, 3):
        clock = SimpleNamespace(monotonic=itertools.count().__next__)
        monkeypatch.setattr("cnncalc.training.step.loop.time", clock)
        run = train(tmp_path / f"every{every}", epochs=6, evaluate_every=every)
        paces |= {*rows(run, "images_per_second")}
    assert len(paces) == 1


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({"patience": 1}, [4, 8]),
        ({"patience": 3}, [4, 8, 12, 16]),
        ({"patience": 1, "evaluate_every": 2}, [8, 16]),
        ({"patience": 9}, [4, 8, 12, 16, 20]),
        ({}, [4, 8, 12, 16, 20]),
    ],
    ids=str,
)
def test_patience_ends_a_run_that_gets_no_better(
    settings: dict[str, Any], ends: list[int], tmp_path: Path
) -> None:
    """With a learning rate of nothing, the first evaluation stays the best."""
    x, y = images()
    data = {"train": (x, y), "validation": (x[:9], y[:9])}
    run = train(tmp_path / "run", data=data, epochs=5, optimizer__lr=1e-30, **settings)
    assert run.finished
    assert [step for (step,) in rows(run, "step")] == ends
    best = read_checkpoint(run.folder / "checkpoints" / "best.pt")
    assert best["step"] == ends[0]


def test_a_run_that_patience_ended_stays_ended(tmp_path: Path) -> None:
    x, y = images()
    data = {"train": (x, y), "validation": (x[:9], y[:9])}
    run = train(tmp_path / "run", data=data, epochs=5, optimizer__lr=1e-30, patience=1)
    again = api.resume(run.folder, data=data)
    assert again.finished
    assert again.metrics == run.metrics
    more = api.resume(run.folder, data=data, settings={"patience": 2})
    assert [step for (step,) in rows(more, "step")] == [4, 8, 12]


def test_a_resumed_run_may_be_given_steps_instead_of_its_epochs(tmp_path: Path) -> None:
    run = train(tmp_path / "run", epochs=1)
    more = api.resume(run.folder, data=images(), settings={"steps": 7})
    assert [step for (step,) in rows(more, "step")] == [4, 7]


def test_seeds_decide_weights_and_order(tmp_path: Path) -> None:
    """Equal seeds give the same run; another gives other weights, in another order."""
    losses = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = train(tmp_path / name, epochs=1, seed=seed)
        losses[name] = rows(run, "train_loss", "train_accuracy")
    assert losses["a"] == losses["b"]
    assert losses["a"] != losses["c"]


def test_the_files_own_seed_wins_for_the_weights(tmp_path: Path) -> None:
    spec = {**NET, "init": {"seed": 5}}
    runs = [
        train(tmp_path / str(seed), spec=spec, epochs=1, optimizer__lr=1e-30, seed=seed)
        for seed in (1, 2)
    ]
    one, other = (read_checkpoint(r.folder / "checkpoints" / "last.pt")["model"] for r in runs)
    assert all(torch.allclose(one[name], other[name], rtol=0, atol=1e-20) for name in one)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer__name": "adm"}, "train.optimizer.name: there is no optimizer 'adm'"),
        ({"augment__crop": SIDE}, "train.augment.crop: must be smaller than the image"),
        ({"augment__cutout": SIDE + 1}, "train.augment.cutout: must not be larger"),
        ({"patience": 2}, "train.patience: counts evaluations of validation data"),
        (
            {"loss": "nll"},
            "train.loss.name: nll takes log-probabilities, and the network ends with",
        ),
        ({"accumulate": 13}, "train.accumulate: a batch of 12 has no 13 parts"),
    ],
    ids=str,
)
def test_what_cannot_work_leaves_no_folder(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(cnncalc.SpecError) as raised:
        train(tmp_path / "run", **settings)
    assert message in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("field", ["crop", "flip", "cutout", "color_jitter", "cutmix"])
def test_what_knows_rows_and_columns_is_for_images(field: str, tmp_path: Path) -> None:
    spec = network([5], {"linear": CLASSES}, name="vectors")
    data = (torch.rand(IMAGES, 5), images()[1])
    value: Any = {"flip": True, "color_jitter": 0.1, "cutmix": 1.0}.get(field, 1)
    with pytest.raises(
        cnncalc.SpecError, match=f"train.augment.{field}: is for images of two axes"
    ):
        train(tmp_path / "run", spec=spec, data=data, **{f"augment__{field}": value})
    assert train(tmp_path / "run", spec=spec, data=data, epochs=1, augment__mixup=0.2).finished


def test_colours_of_what_is_no_colour_are_not_jittered(tmp_path: Path) -> None:
    data = (torch.randn(IMAGES, 1, SIDE, SIDE), images()[1])
    with pytest.raises(cnncalc.SpecError, match="needs images of bytes, or of numbers from 0 to 1"):
        train(tmp_path / "run", data=data, augment__color_jitter=0.1)


@pytest.mark.parametrize(
    ("epochs", "steps"), [(0.9, 3), (0.1, 1), (1.7, 5), (2.0, 6), (2.2, 7), (0.01, 1)]
)
def test_a_fraction_of_an_epoch_is_rounded_to_steps(epochs: float, steps: int) -> None:
    """The nearest number of steps, and one at least."""
    assert Recipe(epochs=epochs).total_steps(3) == steps
