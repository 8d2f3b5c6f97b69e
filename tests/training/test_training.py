"""`cnncalc train`: learns, is reproducible, survives what stops it, and goes on bit for bit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import by_tier, conv, network
from support.processes import invoke, search_path

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.feeding import batches  # noqa: E402
from cnncalc.training.options import RunOptions  # noqa: E402
from cnncalc.training.plan import plan_run  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint, read_last  # noqa: E402
from cnncalc.training.step import loop  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402
from cnncalc.training.step.loop import Loop  # noqa: E402
from cnncalc.training.step.progress import Progress  # noqa: E402

LAYERS = [conv(6, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, {"dropout": 0.2}]
NET = network([1, 8, 8], *LAYERS, "flatten", {"linear": 10}, name="tiny")
AUGMENT = {"crop": 1, "flip": True, "cutout": 2, "color_jitter": 0.2, "mixup": 0.2, "cutmix": 1.0}
RICH = {
    "epochs": 3,
    "batch_size": 64,
    "optimizer.name": "adamw",
    "optimizer.lr": 0.01,
    "optimizer.weight_decay": 0.05,
    "schedule.name": "cosine",
    "schedule.warmup": 0.5,
    "data.validation": 0.1,
    "loss.label_smoothing": 0.1,
    "clip": 1.0,
    "ema": 0.9,
    "augment": AUGMENT,
}
"""Settings that use most of what a recipe has."""

CPU = RunOptions(device="cpu")

pytestmark = pytest.mark.training


def train(folder: Path, settings: Any = None, **options: Any) -> api.Run:
    return api.train(
        NET, output=folder, settings=settings or {"epochs": 2}, device="cpu", **options
    )


def weights(run: Path) -> dict[str, Any]:
    state = read_checkpoint(run / "checkpoints" / "last.pt")["model"]
    return dict(state)


def assert_equal_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def without_times(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


@pytest.mark.many_steps
def test_it_learns_digits(tmp_path: Path) -> None:
    run = train(tmp_path / "run", {"epochs": 12, "optimizer.lr": 0.2, "batch_size": 64})
    assert run.finished
    assert float(run.metrics[-1]["test_accuracy"]) > 0.9
    assert [int(row["epoch"]) for row in run.metrics] == [*range(1, 13)]
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["parameters"] == cnncalc.analyze(NET).totals.parameters


def test_a_run_is_reproduced_by_its_seed_and_changed_by_another(tmp_path: Path) -> None:
    settings = {**RICH, "epochs": 1}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / name, {**settings, "seed": seed})
    assert_equal_weights(tmp_path / "a", tmp_path / "b")
    assert without_times(tmp_path / "a") == without_times(tmp_path / "b")
    a, c = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert not torch.equal(a["conv1.weight"], c["conv1.weight"])


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.01)])
def test_evaluation_counts_each_sample_once(
    precision: str, tolerance: float, tmp_path: Path
) -> None:
    """The figures of metrics.csv, worked out by hand, in float32, from the checkpoint."""
    run = train(tmp_path / "run", {"epochs": 2, "precision": precision})
    test = plan_run(cnncalc.load(NET), cnncalc.load(NET).recipe(), CPU).data.test
    plan = plan_run(cnncalc.load(NET), cnncalc.load(NET).recipe(), CPU)
    model = cnncalc.build(NET).eval()
    model.load_state_dict(weights(run.folder))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (plan.data.mean, plan.data.std))
    with torch.no_grad():
        scores = model((test.images / 255 - mean) / std)
    loss = torch.nn.functional.cross_entropy(scores, test.labels).item()
    accuracy = (scores.argmax(1) == test.labels).double().mean().item()
    last = without_times(run.folder)[-1]
    assert last["test_loss"] == pytest.approx(loss, rel=tolerance)
    assert last["test_accuracy"] == pytest.approx(accuracy, abs=tolerance)


# --- what stops a run -----------------------------------------------------------------------------


class StopAt(Progress):
    """Interrupts a run as a signal would, when it is told of a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, step: int, *_: Any) -> None:
        if step >= self.at:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("stop", [1, 7, 23, 41])
def test_resuming_changes_nothing(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an epoch and at its end: weights and metrics to the last bit."""
    train(tmp_path / "whole", RICH)
    monkeypatch.setattr("cnncalc.training.step.loop.LOOK_EVERY", 1)
    run = train(tmp_path / "cut", RICH, progress=StopAt(stop))
    assert not run.finished
    assert run.signal == signal.SIGTERM
    rows = (tmp_path / "cut" / "metrics.csv").read_text()
    run = api.resume(tmp_path / "cut")
    assert run.finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "cut")
    assert (tmp_path / "cut" / "metrics.csv").read_text().startswith(rows)


class Told(Progress):
    """Notes of which steps it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def step(self, step: int, *_: Any) -> None:
        self.steps.append(step)


@pytest.mark.parametrize(("seconds", "looks"), [(1e9, [1, 5]), (1e-9, [1, 2, 3, 4, 5])])
def test_slow_steps_are_looked_at_one_by_one(
    seconds: float, looks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher sees them, and a checkpoint need not wait for 50 of them."""
    saved: list[int] = []
    monkeypatch.setattr("cnncalc.training.step.loop.LOOK_SECONDS", seconds)
    monkeypatch.setattr("cnncalc.training.step.loop.SAVE_SECONDS", -1.0)
    monkeypatch.setattr(Loop, "_save", lambda loop, _: saved.append(loop.learner.step))
    progress = Told()
    train(tmp_path / "run", {"steps": 5}, progress=progress)
    assert progress.steps == looks
    assert saved[:4] == looks[:-1]


KILLED = """
import os, random, shutil, signal, sys, time
import sklearn.datasets, torch, torch._dynamo  # which every optimizer of PyTorch imports
from cnncalc.training import train as api
from cnncalc.training.step import loop

torch.set_num_threads(1)
loop.SAVE_SECONDS, loop.LOOK_EVERY = 0.02, 1
folder, network, settings = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3])


def go_on(folder):
    try:
        return api.resume(folder)
    except Exception as error:
        if "there is no checkpoint" not in str(error) and "is no folder of a run" not in str(error):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        return api.train(network, output=folder, settings=settings, device="cpu")


def in_a_child(folder, moment=None):
    child = os.fork()  # of a process that has imported PyTorch: starting anew takes seconds
    if not child:
        os._exit(0 if go_on(folder).finished else 9)
    if moment is not None:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


began = time.monotonic()
assert in_a_child(folder + "/whole") == 0
whole = time.monotonic() - began
moments = random.Random(0)
times = int(sys.argv[4])
longest = whole / (times + 1)
ends = [in_a_child(folder + "/killed", moments.uniform(0, longest)) for _ in range(times)]
assert in_a_child(folder + "/killed") == 0
print(ends.count(-signal.SIGKILL))
"""


class Listed(torch.utils.data.Dataset[Any]):
    """A data set that is asked for its items one by one."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.full((1, 8, 8), index * 10, dtype=torch.uint8), index % 10


def test_a_stream_resumes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"epochs": 2, "batch_size": 8}
    train(tmp_path / "whole", settings, data=Listed())
    monkeypatch.setattr("cnncalc.training.step.loop.LOOK_EVERY", 1)
    assert not train(tmp_path / "cut", settings, data=Listed(), progress=StopAt(2)).finished
    assert api.resume(tmp_path / "cut", data=Listed()).finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")


class Noisy(Listed):
    """Items that are drawn anew each time."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.rand(1, 8, 8) + index, index % 10


def test_random_data_are_normalised_as_they_were(tmp_path: Path) -> None:
    settings = {"epochs": 2, "batch_size": 8}
    train(tmp_path / "whole", settings, data=Noisy())
    train(tmp_path / "cut", settings, data=Noisy(), callback=lambda _: False)
    assert api.resume(tmp_path / "cut", data=Noisy()).finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.many_steps
@pytest.mark.parametrize("times", by_tier([3, 20]))
def test_killed_at_random_moments(times: int, tmp_path: Path) -> None:
    """kill -9, so many times: the weights are those of a run that was left alone."""
    settings = {**RICH, "epochs": 8}
    given = (str(tmp_path), repr(NET), repr(settings), str(times))
    command = [sys.executable, "-c", KILLED, *given]
    environment = {**os.environ, "PYTHONPATH": search_path()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > times // 2  # on a busy machine some come too late
    assert_equal_weights(tmp_path / "whole", tmp_path / "killed")
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "killed")


def test_a_damaged_checkpoint_is_recognised(tmp_path: Path) -> None:
    train(tmp_path / "whole", RICH)
    train(tmp_path / "run", RICH)
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    run = api.resume(tmp_path / "run")
    assert run.finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(cnncalc.CnncalcError, match=r"the loss is not finite at step \d+ \(epoch"):
        train(tmp_path / "run", {"optimizer.lr": 1e20, "epochs": 3})
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    if path.exists():
        state = read_checkpoint(path)["model"]
        assert all(math.isfinite(value.double().sum()) for value in state.values())


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    train(tmp_path / "run")
    with pytest.raises(cnncalc.UsageError, match="a run is there already; --resume"):
        train(tmp_path / "run")


def test_sigterm_saves_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def until(self: Learner, batch: Any) -> None:
        learn(self, batch)
        if self.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Learner, "learn", until)
    monkeypatch.setattr(loop, "LOOK_EVERY", 1)
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps(NET), encoding="utf-8")
    options = ["--epochs", "100000", "--output", str(tmp_path / "my run"), "--device", "cpu"]
    status, out, errors = invoke("train", str(spec), *options)
    assert (status, out) == (143, "")
    assert errors.endswith(f"go on with: cnncalc train --resume '{tmp_path / 'my run'}'\n")
    assert read_checkpoint(tmp_path / "my run" / "checkpoints" / "last.pt")["step"] == 5


@pytest.mark.exhaustive
def test_sigterm_from_outside_does_too(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps(NET), encoding="utf-8")
    options = ["--epochs", "100000", "--output", str(tmp_path / "my run"), "--device", "cpu"]
    command = [sys.executable, "-m", "cnncalc", "train", str(spec), *options]
    environment = {**os.environ, "PYTHONPATH": search_path()}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    time.sleep(0.5)
    process.terminate()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143
    assert f"go on with: cnncalc train --resume '{tmp_path / 'my run'}'" in errors
    assert (tmp_path / "my run" / "checkpoints" / "last.pt").exists()


# --- what a resume finds --------------------------------------------------------------------------


def test_a_signal_at_the_last_step_of_an_epoch_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 3, "batch_size": 2000}
    train(tmp_path / "whole", settings)
    monkeypatch.setattr("cnncalc.training.step.loop.LOOK_EVERY", 1)
    assert not train(tmp_path / "cut", settings, progress=StopAt(2)).finished
    assert api.resume(tmp_path / "cut").finished
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "cut")


class StopInEvaluation(StopAt):
    """The same, when it is told of an epoch."""

    def epoch(self, _: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def step(self, *_: Any) -> None: ...


def test_a_signal_in_an_evaluation_begins_no_epoch(tmp_path: Path) -> None:
    settings = {"epochs": 2, "batch_size": 500}
    run = train(tmp_path / "run", settings, progress=StopInEvaluation(0))
    assert (run.finished, run.signal) == (False, signal.SIGTERM)
    assert read_checkpoint(run.folder / "checkpoints" / "last.pt")["step"] == 3
    assert len(without_times(run.folder)) == 1
    last = api.resume(run.folder, progress=StopInEvaluation(0))
    assert last.finished  # there is no more to do
    assert len(without_times(run.folder)) == 2


def test_a_run_may_end_where_it_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncalc.training.step.loop.LOOK_EVERY", 1)
    train(tmp_path / "run", {"epochs": 2}, progress=StopAt(3))
    run = api.resume(tmp_path / "run", settings={"steps": 3})
    assert run.finished
    assert [row["step"] for row in run.metrics] == ["3"]
    assert json.loads((run.folder / "summary.json").read_text())["last"]["step"] == 3


def test_lines_that_a_power_cut_left_are_dropped(tmp_path: Path) -> None:
    train(tmp_path / "whole", {"epochs": 3})
    train(tmp_path / "run", {"epochs": 2})
    for name, torn in (("metrics.csv", "3,6"), ("metrics.jsonl", '{"epoch": 3, "st')):
        with (tmp_path / "run" / name).open("a") as file:
            file.write(torn)
    api.resume(tmp_path / "run", settings={"epochs": 3})
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "run")
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 4


def test_a_run_that_saved_nothing_begins_again(tmp_path: Path) -> None:
    with pytest.raises(cnncalc.CnncalcError, match="nothing was saved"):
        train(tmp_path / "run", {"optimizer.lr": 1e20, "epochs": 1})
    train(tmp_path / "whole", {"optimizer.lr": 0.1, "epochs": 1})
    assert api.resume(tmp_path / "run", settings={"optimizer.lr": 0.1}).finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "run")


def test_speed_after_a_resume_is_that_of_its_own_epoch(tmp_path: Path) -> None:
    train(tmp_path / "run", {"epochs": 2})
    rows = api.resume(tmp_path / "run", settings={"epochs": 3}).metrics
    seconds = [float(row["seconds"]) for row in rows]
    images = len(plan_run(cnncalc.load(NET), cnncalc.load(NET).recipe()).data.train.labels)
    speed = images / (seconds[2] - seconds[1])
    assert float(rows[2]["images_per_second"]) == pytest.approx(speed, rel=1e-3)


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    """Then there is no last.pt, but the one that was to become it, and an older one."""
    train(tmp_path / "whole", RICH)
    train(tmp_path / "run", RICH, callback=lambda row: row["epoch"] < 2)
    checkpoints = tmp_path / "run" / "checkpoints"
    step = read_checkpoint(checkpoints / "last.pt")["step"]
    (checkpoints / "last.pt").replace(checkpoints / "new-last.pt")
    state, problems = read_last(checkpoints)
    assert state is not None
    assert (state["step"], problems) == (step, [])
    assert read_checkpoint(checkpoints / "before.pt")["step"] < step
    assert api.resume(tmp_path / "run").finished
    assert_equal_weights(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("augment", [{}, {"crop": 1}], ids=["plain", "augmented"])
def test_a_resume_within_an_epoch_goes_on_with_its_next_batch(
    augment: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain batches are gathered by the two here, so that the third is of another pair."""
    monkeypatch.setattr(loop, "LOOK_EVERY", 1)
    monkeypatch.setattr(batches, "GATHER", 2 * 300 * 64)
    settings = {"epochs": 2, "batch_size": 300, "precision": "float32", "augment": augment}
    learn, seen = Learner.learn, []

    def noted(self: Learner, batch: Any) -> None:
        seen.append(batch.images.double().sum().item())
        learn(self, batch)

    monkeypatch.setattr(Learner, "learn", noted)
    train(tmp_path / "whole", settings)
    whole, seen[:] = [*seen], []
    assert not train(tmp_path / "cut", settings, progress=StopAt(3)).finished
    assert api.resume(tmp_path / "cut").finished
    assert seen == whole
    assert len({*whole}) == len(whole) == 10
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")
