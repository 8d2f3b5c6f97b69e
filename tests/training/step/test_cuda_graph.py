"""Steps that are replayed as a CUDA graph, on a device that is made of the CPU.

It records as CUDA does: nothing is computed until the first replay, and each replay reads and
writes the same memory. What CUDA itself makes of it is in test_cuda.py.
"""

from __future__ import annotations

import gc
import json
import warnings
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import conv, network
from support.processes import invoke

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.cli.progress import describe  # noqa: E402
from cnncalc.training import plan as planning  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.data import Stream  # noqa: E402
from cnncalc.training.device import Setting  # noqa: E402
from cnncalc.training.options import RunOptions  # noqa: E402
from cnncalc.training.plan import Plan, plan_run  # noqa: E402
from cnncalc.training.step import cuda_graph as capture  # noqa: E402
from cnncalc.training.step import learner  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYERS = [conv(6, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
NET = network([1, 8, 8], *LAYERS, {"dropout": 0.2}, {"linear": 10}, name="tiny")
EPOCH = 5
"""Steps of an epoch: 1,438 images in batches of 300, the last of 238."""

pytestmark = pytest.mark.training


class Recorder:
    """In place of CUDA."""

    def __init__(self) -> None:
        self.model: Any = None
        self.steps = 0
        self.recordings = 0
        self.replays = 0
        self.mode = "default"
        self.waits = False
        self.fails: Exception | None = None
        self.learner: Any = None

    def captured(self, model: Any, size: int) -> capture.CapturedGradient:
        self.model = model
        return capture.CapturedGradient(model, size)

    def counted(self, gradient: Callable[..., Any]) -> Callable[..., Any]:
        def step(of: Any, *given: Any) -> Any:
            self.steps += 1
            self.learner = weakref.ref(of)
            if self.waits and self.mode == "warn":
                warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
            return gradient(of, *given)

        return step

    def record(self, run: Callable[[], Any], _: Any) -> tuple[Any, Callable[[], None]]:
        self.recordings += 1
        state = {name: value.clone() for name, value in self.model.state_dict().items()}
        random = torch.get_rng_state()
        results = run()
        self.model.load_state_dict(state)
        torch.set_rng_state(random)
        if self.fails is not None:
            raise self.fails
        weights = list(self.model.parameters())
        places = [weight.grad for weight in weights]
        for tensor in (*results, *places):
            tensor.fill_(torch.nan)

        def replay() -> None:
            self.replays += 1
            for weight in weights:
                weight.grad = None
            found = run()
            grads = [weight.grad for weight in weights]
            for place, value in zip((*results, *places), (*found, *grads), strict=True):
                place.copy_(value)
                value.fill_(torch.nan)
            for weight in weights:
                weight.grad = None

        return results, replay


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Every run of a test is recorded."""
    recorder = Recorder()
    monkeypatch.setattr(planning, "is_captured", lambda *_, **__: True)
    monkeypatch.setattr(learner, "CapturedGradient", recorder.captured)
    monkeypatch.setattr(Learner, "_gradient", recorder.counted(Learner._gradient))
    monkeypatch.setattr(capture, "record", recorder.record)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: recorder.mode)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda x: setattr(recorder, "mode", x))
    return recorder


def train(folder: Path, settings: Any = None, **options: Any) -> api.Run:
    settings = {"epochs": 2, "batch_size": 300, **(settings or {})}
    return api.train(NET, output=folder, settings=settings, device="cpu", **options)


def outcome(run: api.Run) -> tuple[list[Any], list[Any]]:
    """Weights and metrics, without times."""
    timed = ("seconds", "images_per_second")
    rows = [{key: value for key, value in row.items() if key not in timed} for row in run.metrics]
    return [value.tolist() for value in run.model.state_dict().values()], rows


def summary(run: api.Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "summary.json").read_text())
    return found


@pytest.mark.parametrize(
    "settings",
    [{}, {"augment.mixup": 0.2, "clip": 0.1, "ema": 0.9}, {"optimizer": {"name": "adamw"}}],
    ids=["plain", "mixup, clip, ema", "adamw"],
)
def test_a_replayed_run_is_the_run(
    settings: Any, device: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = train(tmp_path / "replayed", settings)
    whole, short = 2 * (EPOCH - 1), 2
    assert (device.recordings, device.replays) == (1, whole - capture.WARM_UP)
    assert device.steps == capture.WARM_UP + short + 1 + device.replays
    assert summary(replayed)["cuda_graph"] is True
    monkeypatch.setattr(planning, "is_captured", lambda *_, **__: False)
    eager = train(tmp_path / "eager", settings)
    assert summary(eager)["cuda_graph"] is False
    assert outcome(replayed) == outcome(eager)


@pytest.mark.parametrize("reason", ["fails", "waits"])
def test_what_cannot_be_recorded_runs_all_the_same(
    reason: str, device: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory for the graph's own, and a step that waits for the device."""
    setattr(
        device, reason, torch.OutOfMemoryError("CUDA out of memory") if reason == "fails" else 1
    )
    run = train(tmp_path / "run")
    assert device.recordings == (reason == "fails")
    assert (device.replays, device.mode) == (0, "default")
    assert summary(run)["cuda_graph"] is False
    monkeypatch.setattr(planning, "is_captured", lambda *_, **__: False)
    assert outcome(run) == outcome(train(tmp_path / "eager"))


def test_a_device_that_records_in_part_says_so(device: Recorder, tmp_path: Path) -> None:
    device.fails = RuntimeError("CUDA error: operation not permitted\nCompile with TORCH_USE")
    with pytest.raises(cnncalc.CnncalcError) as caught:
        train(tmp_path / "run")
    assert str(caught.value) == (
        "a step cannot be recorded as a CUDA graph (CUDA error: operation not permitted):"
        " use --no-cuda-graph"
    )
    assert caught.value.exit_status == 1


def test_other_warnings_of_a_step_are_passed_on(device: Recorder) -> None:
    def warn() -> Any:
        warnings.warn("something else", UserWarning, stacklevel=1)
        return torch.ones(()), torch.ones(1, 2)

    with pytest.warns(UserWarning, match="something else"):
        assert not capture.watched(warn)[1]
    assert device.mode == "default"


def test_nothing_of_a_run_stays_in_memory(device: Recorder, tmp_path: Path) -> None:
    """A graph's memory is the device's: it is not left to the garbage collector."""
    device.waits = True
    gc.collect()
    gc.disable()
    try:
        train(tmp_path / "run")
        assert device.learner() is None
    finally:
        gc.enable()


def test_a_replayed_run_goes_on(device: Recorder, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", {"epochs": 4})
    first = train(tmp_path / "first", {"epochs": 4}, callback=lambda row: row["epoch"] < 2)
    before = device.recordings
    assert outcome(api.resume(first.folder)) == outcome(whole)
    assert device.recordings == before + 1


def test_a_graph_gives_its_memory_back(device: Recorder) -> None:
    model = torch.nn.Linear(2, 2)

    def gradient(images: Any, targets: Any) -> Any:
        scores = model(images)
        loss = torch.nn.functional.cross_entropy(scores, targets)
        loss.backward()
        return loss.detach(), scores.detach()

    step = device.captured(model, 3)
    images, targets = torch.ones(3, 2), torch.tensor([0, 1, 0])
    for _ in range(capture.WARM_UP + 1):
        model.zero_grad()
        loss, _ = step(gradient, images, targets)
    expected = model.weight.grad.clone()
    step.release()
    model.zero_grad()
    assert torch.equal(step(gradient, images, targets)[0], loss)
    assert torch.equal(model.weight.grad, expected)
    assert (step.recording, device.replays) == (None, 1)


# --- where it is chosen ---------------------------------------------------------------------------


def plan(spec: Any = "lenet", settings: Any = None, **changes: Any) -> Plan:
    """A run on a GPU, as planned where there is none."""
    loaded = cnncalc.load(spec)
    shape = cnncalc.analyze(loaded).input_shape
    data = torch.zeros(10, *shape, dtype=torch.uint8), torch.arange(10)
    cpu = RunOptions(device="cpu")
    found = plan_run(loaded, loaded.recipe(settings or {}), cpu, data=data)
    return replace(found, setting=Setting(torch.device("cuda"), torch.bfloat16, True), **changes)


def chosen(found: Plan, wanted: bool | None = None, *, deterministic: bool = False) -> bool:
    options = RunOptions(cuda_graph=wanted, deterministic=deterministic)
    return planning.is_captured(replace(found, options=options))


def test_small_steps_are_recorded() -> None:
    small, large = {"batch_size": 128}, {"batch_size": 100_000}
    for spec in ("lenet", "lenet5_wide", "vgg"):
        assert chosen(plan(spec, small))
        assert not chosen(plan(spec, small), wanted=False)
        assert not chosen(plan(spec, large))
        assert chosen(plan(spec, large), wanted=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processes": 2}, "several processes send each other their gradients within a step"),
        ({"settings": {"accumulate": 2}}, "a step is one batch, and train.accumulate makes it sev"),
        ({"setting": "cpu"}, "there are no such graphs on cpu"),
        ({"setting": torch.float16}, "the loss of float16 is scaled anew at each step"),
        ({"deterministic": True}, "with --deterministic a resumed run has to repeat each step"),
    ],
)
def test_what_is_never_recorded(changes: dict[str, Any], message: str) -> None:
    deterministic = changes.pop("deterministic", False)
    setting = changes.pop("setting", None)
    found = plan(**changes)
    if setting == "cpu":
        found = replace(found, setting=Setting(torch.device("cpu"), torch.float32, True))
    elif setting is not None:
        found = replace(found, setting=Setting(torch.device("cuda"), setting, True))
    assert not chosen(found, deterministic=deterministic)
    with pytest.raises(cnncalc.UsageError, match=f"--cuda-graph: {message}.*; use --no-cuda-graph"):
        chosen(found, wanted=True, deterministic=deterministic)


def test_a_stream_is_not_recorded() -> None:
    found = plan()
    images, labels = found.data.train

    class Files(Stream):
        def __init__(self) -> None:
            self.labels = labels

        def __getitem__(self, index: int) -> Any:
            return images[index], int(labels[index])

        def subset(self, _: Any) -> Any:
            return self

    streamed = replace(found, data=replace(found.data, train=Files()))
    with pytest.raises(cnncalc.UsageError, match="a stream of images is slower than the launches"):
        chosen(streamed, wanted=True)


def test_the_command_line_says_where_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = ("train", "lenet", "--device", "cpu", "-o", str(folder))
    status, _, errors = invoke(*command, "--cuda-graph")
    assert status == 2
    assert "--cuda-graph: there are no such graphs on cpu; use --no-cuda-graph" in errors
    assert not folder.exists()
    assert invoke(*command, "--no-cuda-graph", "--dry-run")[0] == 0


def test_a_dry_run_says_that_steps_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "has_room", lambda *_: True)
    found = plan()
    assert "device     cuda, bfloat16, channels_last\n" in describe(found)
    found = replace(found, setting=replace(found.setting, captured=True))
    assert "device     cuda, bfloat16, channels_last, CUDA graph\n" in describe(found)
