"""What goes wrong in a run: one clear message, and what was saved before stays whole."""

from __future__ import annotations

import errno
import gc
import json
import math
import os
import re
import resource
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import pytest
from support import by_tier, conv, network
from support.processes import invoke, on_terminal

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from PIL import Image  # noqa: E402

from cnncalc.cli.progress import HEAD, Lines  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.options import RunOptions  # noqa: E402
from cnncalc.training.plan import plan_run  # noqa: E402
from cnncalc.training.run.checkpoints import (  # noqa: E402
    read_checkpoint,
    read_last,
    write_checkpoint,
)
from cnncalc.training.run.folder import RunWriter  # noqa: E402
from cnncalc.training.step import evaluation  # noqa: E402
from cnncalc.training.step.evaluation import Evaluator  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402
from cnncalc.training.step.losses import loss_function  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NET = network([1, 8, 8], conv(4, 3), "relu", "flatten", {"linear": 10}, name="tiny")
EPOCH = 12
"""Steps of an epoch: 1,438 images in batches of 128, the last of 30."""

CPU = RunOptions(device="cpu")

pytestmark = pytest.mark.training


def train(folder: Path, settings: Any = None, **options: Any) -> api.Run:
    settings = settings or {"epochs": 2}
    return api.train(NET, output=folder, settings=settings, device="cpu", **options)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A run that was stopped after the first of two epochs."""
    return train(tmp_path / "begun", callback=lambda _: False).folder


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps(NET), encoding="utf-8")
    return "tiny.yaml"


def failed(*arguments: str, status: int) -> str:
    """The one line of a command that fails."""
    found, out, err = invoke("train", *arguments)
    assert (found, out) == (status, "")
    lines = [line for line in err.splitlines() if line]
    assert "Traceback" not in err
    return lines[-1]


# --- memory ---------------------------------------------------------------------------------------


def small_device(
    monkeypatch: pytest.MonkeyPatch, room: int, error: Callable[[], BaseException]
) -> list[int]:
    """No forward pass takes more than `room` images; the numbers that were tried."""
    tried: list[int] = []
    gradient = Learner._gradient

    def limited(self: Learner, images: Any, *others: Any) -> Any:
        tried.append(len(images))
        if len(images) > room:
            raise error()
        return gradient(self, images, *others)

    monkeypatch.setattr(Learner, "_gradient", limited)
    return tried


def cuda_error() -> BaseException:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def cpu_error() -> BaseException:
    """The CPU's own, for more than any machine has."""
    try:
        torch.empty(2**60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error", by_tier([cuda_error, cpu_error], name=lambda error: error.__name__)
)
def test_the_batch_size_that_is_named_was_tried_and_fits(
    error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = small_device(monkeypatch, 20, error)
    with pytest.raises(cnncalc.CnncalcError) as caught:
        train(tmp_path / "run")
    assert str(caught.value) == (
        "out of memory on cpu at step 1 with batch_size 128; two steps of 16 fitted:"
        " --batch-size 16, or --set train.accumulate=8, which keeps the batch"
    )
    assert caught.value.exit_status == 1
    assert tried == [128, 64, 32, *[16] * 18]
    for number, settings in enumerate(({"batch_size": 16}, {"accumulate": 8})):
        assert train(tmp_path / str(number), {**settings, "epochs": 1}).finished


def test_memory_that_runs_out_later_leaves_the_checkpoints(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (begun / "checkpoints" / "last.pt").read_bytes()
    small_device(monkeypatch, 100, cuda_error)
    with pytest.raises(cnncalc.CnncalcError, match=f"at step {EPOCH + 1} with batch_size 128; two"):
        api.resume(begun)
    assert (begun / "checkpoints" / "last.pt").read_bytes() == before
    assert api.resume(begun, settings={"accumulate": 2}).finished


def test_a_learner_that_found_no_memory_is_gone_before_a_smaller_batch_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is tried on a learner of its own: none trains on, nor holds memory, after its trial."""
    begin, made, left = Learner.__init__, [], []

    def noted(self: Learner, *given: Any) -> None:
        gc.collect()
        left.append(sum(each() is not None for each in made))
        made.append(weakref.ref(self))
        begin(self, *given)

    monkeypatch.setattr(Learner, "__init__", noted)
    small_device(monkeypatch, 60, cuda_error)
    with pytest.raises(cnncalc.CnncalcError, match="two steps of 32 fitted"):
        train(tmp_path / "run")
    assert left == [0] * 4


@pytest.mark.exhaustive
def test_a_device_too_small_for_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_device(monkeypatch, 0, cuda_error)
    with pytest.raises(cnncalc.CnncalcError, match="with batch_size 128: not even one image fits"):
        train(tmp_path / "run")


def test_a_device_too_small_for_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise cuda_error()

    monkeypatch.setattr("cnncalc.training.step.learner.make_optimizer", fail)
    with pytest.raises(
        cnncalc.CnncalcError, match="out of memory on cpu: it does not hold network"
    ):
        train(tmp_path / "run")


def test_other_errors_are_no_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_device(monkeypatch, 0, lambda: RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(tmp_path / "run")


def test_evaluation_takes_no_more_memory_than_training() -> None:
    assert evaluation.evaluated_at_once(1000, 8) == 1000
    assert evaluation.evaluated_at_once(2**24, 8) == 128
    assert evaluation.evaluated_at_once(2**24, 300) == 300
    assert evaluation.evaluated_at_once(2**40, 1) == 1
    assert evaluation.evaluated_at_once(0, 2000) == 1000


# --- the disk -------------------------------------------------------------------------------------


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Within, no file can grow beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(begun: Path) -> None:
    last = begun / "checkpoints" / "last.pt"
    before = last.read_bytes()
    with (
        files_up_to(len(before) - 1000),
        pytest.raises(
            cnncalc.OutputError, match=r"last\.pt: the checkpoint cannot be written: Fil"
        ),
    ):
        api.resume(begun)
    assert [path.name for path in (begun / "checkpoints").iterdir()] == ["last.pt"]
    assert last.read_bytes() == before
    assert api.resume(begun).finished


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.jsonl", "last.pt", "run.json"])
def test_a_full_disk(name: str, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is found full, the run goes on from what was saved once there is room."""
    sync = os.fsync

    def full(descriptor: int) -> None:
        if name in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        line = failed("--resume", str(begun), "--quiet", status=1)
    assert line.startswith(str(begun))
    assert name in line
    assert line.endswith(": No space left on device")
    run = api.resume(begun)
    assert [row["epoch"] for row in run.metrics] == ["1", "2"]
    assert len((begun / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_folder_that_cannot_be_made(spec: str) -> None:
    line = failed(spec, "-o", f"{spec}/run", "--epochs", "1", status=1)
    assert line == f"{spec}/run: cannot be made: Not a directory"


def test_runs_that_begin_together_have_their_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    made, together, make = [], threading.Barrier(2, timeout=300), Path.mkdir

    def both_at_once(path: Path, *args: Any, **options: Any) -> None:
        if path.name == "tiny-now":
            together.wait()
        make(path, *args, **options)

    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(Path, "mkdir", both_at_once)
    threads = [
        threading.Thread(target=lambda: made.append(RunWriter.new("tiny").path)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in made) == ["tiny-now", "tiny-now-2"]


LOCKING = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, 6); print(); input()"


def test_a_run_is_trained_once_at_a_time(begun: Path) -> None:
    command = [sys.executable, "-c", LOCKING, str(begun / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        before = {path: path.read_bytes() for path in begun.iterdir() if path.is_file()}
        line = failed("--resume", str(begun), status=2)
        assert line.startswith(f"{begun}: another process is training this run")
        assert before == {path: path.read_bytes() for path in begun.iterdir() if path.is_file()}
        other.kill()
    assert api.resume(begun).finished


def test_a_run_that_trains_is_locked(tmp_path: Path) -> None:
    locked: list[int] = []

    def attempted(_: Any) -> None:
        command = [sys.executable, "-c", LOCKING, str(tmp_path / "run" / ".lock")]
        done = subprocess.run(command, input=b"\n", capture_output=True, check=False)
        locked.append(done.returncode)

    train(tmp_path / "run", {"steps": 1}, callback=attempted)
    attempted(None)
    assert locked == [1, 0]


def test_names_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"ch\xe8vre")
    RunWriter(tmp_path).write_json("run.json", {"classes": [name, "犬"]})
    assert RunWriter(tmp_path).read_json("run.json") == {"classes": [name, "犬"]}
    assert "犬" in (tmp_path / "run.json").read_text(encoding="utf-8")


# --- the loss -------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_the_step_and_what_is_left(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def spoil(self: Learner, batch: Any) -> None:
        if self.step == EPOCH + 4:
            batch = batch._replace(images=batch.images * math.inf)
        learn(self, batch)

    monkeypatch.setattr(Learner, "learn", spoil)
    line = failed("--resume", str(begun), status=1)
    last = begun / "checkpoints" / "last.pt"
    assert line == (
        f"the loss is not finite at step {EPOCH + 5} (epoch 2); {last} is of step {EPOCH}:"
        " try a lower train.optimizer.lr, or train.clip"
    )
    state = read_checkpoint(last)
    assert state["step"] == EPOCH
    assert all(value.isfinite().all() for value in state["model"].values())


@pytest.mark.parametrize("within", [False, True])
def test_weights_that_are_not_finite_are_never_saved(
    within: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step may spoil them though its own loss was finite: of an epoch the last, for example."""
    learn, at = Learner.learn, 5 if within else EPOCH

    def spoil(self: Learner, batch: Any) -> None:
        learn(self, batch)
        if self.step == at:
            next(self.model.parameters()).data[0] = math.inf

    monkeypatch.setattr(Learner, "learn", spoil)
    if within:
        monkeypatch.setattr("cnncalc.training.step.loop.LOOK_EVERY", 1)
        monkeypatch.setattr("cnncalc.training.step.loop.SAVE_SECONDS", 0.0)
    with pytest.raises(cnncalc.CnncalcError) as caught:
        train(tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    kept = f"{last} is of step 4" if within else "nothing was saved"
    message = f"the weights are not finite after step {at}; {kept}: try a lower train.optimizer.lr"
    assert str(caught.value).startswith(message)
    assert last.exists() == within


# --- the data -------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of six images each."""
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(6):
            image = Image.new("L", (8, 8), number * 20)
            image.save(tmp_path / "pictures" / name / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def two_classes(spec: str) -> tuple[str, ...]:
    Path("two.yaml").write_text(json.dumps(network([1, 8, 8], "flatten", {"linear": 2})))
    return ("two.yaml", "--data", "imagefolder", "--data-dir", "pictures", "-o", "run", "--steps=2")


def test_a_corrupt_image_is_named_or_skipped_and_counted(
    pictures: Path, two_classes: tuple[str, ...]
) -> None:
    damaged = pictures / "dog" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:50])
    line = failed(*two_classes, status=2)
    assert str(damaged) in line
    assert not Path("run").exists()
    status, _, err = invoke("train", *two_classes, "--set", "train.data.corrupt=skip")
    assert status == 0
    assert f"skipped    1 corrupt images: {damaged}\n" in err


def test_an_empty_class(pictures: Path, two_classes: tuple[str, ...]) -> None:
    (pictures / "eel").mkdir()
    line = failed(*two_classes, status=2)
    assert line.startswith(f"{pictures / 'eel'} holds no image (")
    assert not Path("run").exists()


def test_data_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError(OSError("Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv("CNNCALC_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    line = failed("lenet", "--data", "mnist", "-o", "run", status=2)
    assert line.startswith("mnist cannot be downloaded; put train-images-idx3-ubyte")
    assert f"into {tmp_path / 'cache' / 'mnist'}, or name their folder with --data-dir" in line
    assert not Path("run").exists()


# --- the run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", None, "{run}: is no folder of a run (run.json is missing)"),
        ("run.json", b"{", "{run}: run.json is damaged"),
        ("run.json", b"{}", "{run}: run.json is damaged"),
        ("checkpoints/last.pt", None, "{run}/checkpoints: there is no checkpoint to resume from"),
        ("checkpoints/last.pt", b"zip", "{run}/checkpoints/last.pt: the checkpoint is damaged:"),
    ],
)
def test_a_run_that_cannot_be_resumed(
    name: str, content: bytes | None, message: str, begun: Path
) -> None:
    if content is None:
        (begun / name).unlink()
    else:
        (begun / name).write_bytes(content)
    line = failed("--resume", str(begun), status=2)
    assert line.startswith(message.format(run=begun))


def test_damage_is_recognised_wherever_it_is(begun: Path) -> None:
    last = begun / "checkpoints" / "last.pt"
    whole = last.read_bytes()
    packed_by = whole.index(b"PK\x01\x02") + 10
    for place, byte in ((30, 0xE4), (packed_by, 8), (packed_by, 99)):
        last.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        with pytest.raises(cnncalc.UsageError, match=r"last\.pt: the checkpoint is damaged"):
            read_checkpoint(last)


def test_a_file_of_something_else_is_no_checkpoint(begun: Path) -> None:
    last = begun / "checkpoints" / "last.pt"
    last.rename(last.with_name("before.pt"))
    for other in ({"weight": torch.zeros(3)}, torch.zeros(3)):
        torch.save(other, last)
        state, problems = read_last(last.parent)
        assert state is not None
        assert state["step"] == EPOCH
        said = f"{last}: it is no checkpoint that a run goes on from; an older one is used"
        assert problems == [said]
    last.with_name("before.pt").unlink()
    assert failed("--resume", str(begun), status=2).endswith("; there is no older one")


def test_a_checkpoint_that_is_broken_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(_: object, file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", broken_off)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint({}, tmp_path / "last.pt")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("part", ["network", "optimizer"])
def test_a_checkpoint_of_another_network_or_optimizer(part: str, begun: Path) -> None:
    if part == "network":
        text = (begun / "run.json").read_text()
        (begun / "run.json").write_text(text.replace('"out_channels": 4', '"out_channels": 5'))
    else:
        state = read_checkpoint(begun / "checkpoints" / "last.pt")
        del state["optimizer"]["param_groups"][0]
        torch.save(state, begun / "checkpoints" / "last.pt")
    line = failed("--resume", str(begun), status=2)
    assert re.match("the checkpoint does not fit the run: .", line)


# --- what is complained of most -------------------------------------------------------------------


def test_every_image_has_the_same_weight_in_the_figures_of_an_epoch(tmp_path: Path) -> None:
    """The last batch has 30 images, the others 128; with a rate of 0 all meet the same weights."""
    run = train(tmp_path / "run", {"epochs": 1, "optimizer.lr": 1e-30, "precision": "float32"})
    plan = plan_run(cnncalc.load(NET), cnncalc.load(NET).recipe(), CPU)
    split: Any = plan.data.train
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (plan.data.mean, plan.data.std))
    with torch.no_grad():
        scores = run.model.eval()((split.images / 255 - mean) / std)
    loss = torch.nn.functional.cross_entropy(scores, split.labels).item()
    assert float(run.metrics[0]["train_loss"]) == pytest.approx(loss, rel=1e-5)
    right = (scores.argmax(1) == split.labels).double().mean().item()
    assert float(run.metrics[0]["train_accuracy"]) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("at_once", [1, 100, 358])
def test_no_image_is_evaluated_twice(at_once: int, tmp_path: Path) -> None:
    """359 images in parts that do not divide them."""
    plan = plan_run(cnncalc.load(NET), cnncalc.load(NET).recipe(), CPU)
    prepare = api.Preparer(plan.data.mean, plan.data.std, (1, 8, 8), torch.contiguous_format)
    loss = loss_function(plan.recipe.loss, "none")
    test: Any = plan.data.test
    model, common = cnncalc.build(NET, seed=1), (prepare, loss, 10, plan.setting.autocast)
    whole = Evaluator(*common).figures(model, test)
    parts = Evaluator(*common, at_once).figures(model, test)
    assert parts.samples == 359 == parts.confusion.sum()
    assert torch.equal(parts.confusion, whole.confusion)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)


def test_a_run_that_cannot_be_written_is_not_resumed(begun: Path) -> None:
    before = (begun / "run.json").read_bytes(), (begun / "metrics.csv").read_bytes()
    (begun / "summary.json").unlink()
    (begun / "summary.json").mkdir()
    status, out, err = invoke("train", "--resume", str(begun), "--epochs", "9")
    assert (status, out) == (1, "")
    assert err.startswith(f"{begun / 'summary.json'}: cannot be removed: ")
    assert err.count("\n") == 1
    assert ((begun / "run.json").read_bytes(), (begun / "metrics.csv").read_bytes()) == before


@pytest.mark.parametrize("loss", [0.0, 2.3026, 998.99999, 1.79e18, math.nan])
def test_a_loss_that_goes_astray_stays_in_its_column(
    loss: float, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = dict.fromkeys(("train_loss", "val_loss", "test_loss"), loss)
    rest = dict.fromkeys(("train_accuracy", "val_accuracy", "test_accuracy"), 0.5)
    Lines().epoch({"epoch": 1, "images_per_second": 1e4} | losses | rest)
    assert len(capsys.readouterr().err) == len(HEAD) + 1


def test_a_log_file_gets_one_line_an_epoch(spec: str) -> None:
    status, out, err = invoke("train", spec, "--epochs", "3", "-o", "run", "--device", "cpu")
    assert (status, out) == (0, "run\n")
    _, _, table = err.partition("epoch  train loss")
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["1", "2", "3"]
    assert not {"\r", "\x1b", "\b"} & {*err}
    assert invoke("train", spec, "--steps", "1", "-o", "quiet", "-q") == (0, "", "")


@pytest.mark.exhaustive
def test_a_narrow_terminal_gets_a_bar_that_fits(spec: str) -> None:
    text = on_terminal("train", spec, "--steps", "3", "-o", "run", "--device", "cpu", columns=45)
    _, _, after = re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "", text).partition("test loss")
    bar = next(line for line in re.split(r"[\r\n]+", after) if line.startswith("3/3"))
    assert len(bar) <= 45
    assert re.fullmatch(r"3/3 loss \d+\.\d{4}  accuracy \d+\.\d\d% 0:00:00\s*", bar)
    assert text.endswith("run\n")


def test_last_is_the_last_and_best_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def spoil(self: Learner, batch: Any) -> None:
        learn(self, batch)
        if self.step == 25:  # of 27, 9 an epoch
            next(self.model.parameters()).data.neg_()

    monkeypatch.setattr(Learner, "learn", spoil)
    run = train(tmp_path / "run", {"epochs": 3, "data.validation": 0.2})
    losses = [float(row["val_loss"]) for row in run.metrics]
    best = losses.index(min(losses))
    assert best == 1
    for name, row in (("best", best), ("last", 2)):
        state = read_checkpoint(run.folder / "checkpoints" / f"{name}.pt")
        assert state["step"] == int(run.metrics[row]["step"])
        found = cnncalc.evaluate(run, split="validation", weights=name, device="cpu")
        assert found.loss == pytest.approx(losses[row], rel=1e-4)


def test_a_long_run_collects_its_garbage(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table does without, to be on screen sooner."""

    seen: list[bool] = []

    def look(*_: Any, **__: Any) -> None:
        seen.append(gc.isenabled())
        raise cnncalc.UsageError("enough")

    monkeypatch.setattr(api, "train", look)
    assert failed(spec, status=2) == "enough"
    assert seen == [True]
