"""What a recipe makes of a run: where it ends, what it begins with, what cannot work."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support import network

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


from cnncalc.spec.train_section import Recipe  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

from support.recipes import CLASSES, IMAGES, NET, SIDE, images, rows, train  # noqa: E402

pytestmark = pytest.mark.training


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
