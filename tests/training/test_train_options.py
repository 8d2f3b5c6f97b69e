"""Warm starts, deterministic runs, TensorBoard, callbacks, and what a resumed run may change."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import conv, network
from support.processes import invoke

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.gpu_peaks import peak_multiply_adds  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

LAYERS = [conv(6, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
NET = network([1, 8, 8], *LAYERS, {"linear": 10}, name="tiny")
"""The network of the fixture `tiny_run`."""
STILL = {"steps": 1, "optimizer.lr": 1e-30}
"""One step that leaves the weights as they are."""

pytestmark = pytest.mark.training


def train(folder: Path, settings: Any = None, **options: Any) -> api.Run:
    settings = {"epochs": 2, "batch_size": 300, **(settings or {})}
    if "steps" in settings:
        del settings["epochs"]
    return api.train(NET, output=folder, settings=settings, device="cpu", **options)


def weights(run: Path, name: str = "last.pt") -> dict[str, Any]:
    state = read_checkpoint(run / "checkpoints" / name)["model"]
    return dict(state)


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether all weights are equal but for a `STILL` step; statistics are left out."""
    names = [name for name in ours if name.endswith(("weight", "bias"))]
    pairs = ((ours[name], theirs[name]) for name in names)
    return bool(names) and all(torch.allclose(*pair, rtol=0, atol=1e-25) for pair in pairs)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(NET), encoding="utf-8")
    return path


@pytest.fixture
def finished(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run of three epochs that a test may resume."""
    return Path(shutil.copytree(tiny_run, tmp_path / "finished"))


# --- --init ---------------------------------------------------------------------------------------


def test_a_run_starts_from_the_best_weights_of_another(tiny_run: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", STILL, init=tiny_run)
    assert same(weights(run.folder), weights(tiny_run, "best.pt"))
    assert [row["step"] for row in run.metrics] == ["1"]
    assert json.loads((run.folder / "run.json").read_text())["init"] == {
        "from": str(tiny_run),
        "anew": [],
    }


def test_a_checkpoint_gives_the_weights_that_its_metrics_speak_of(
    tiny_run: Path, tmp_path: Path
) -> None:
    """The averaged ones, that is: they are in the order of the parameters."""
    path = tiny_run / "checkpoints" / "last.pt"
    state = read_checkpoint(path)
    run = train(tmp_path / "run", STILL, init=path)
    parameters = [name for name, _ in cnncalc.build(NET).named_parameters()]
    averaged = dict(zip(parameters, state["average"]["weights"], strict=True))
    assert same(averaged, weights(run.folder))
    assert not same(weights(run.folder), state["model"])


def test_a_state_dict_of_other_names_is_read_too(tmp_path: Path) -> None:
    model = cnncalc.build(NET, seed=7)
    theirs = {f"module.net_{name}": each for name, each in model.state_dict().items()}
    torch.save(theirs, tmp_path / "other.pt")
    run = train(tmp_path / "run", STILL, init=tmp_path / "other.pt")
    assert same(weights(run.folder), model.state_dict())


def test_a_matrix_that_an_import_turns_is_turned_here_too(tmp_path: Path) -> None:
    """Its name in the imported spec ends in ^T."""
    layers = [{"name": "head", "linear": {"out_features": 10, "bias": False}}]
    spec = network([1, 8, 8], "flatten", *layers, imported={"weights": {"head.weight": "w^T"}})
    w = torch.rand(64, 10)
    torch.save({"w": w}, tmp_path / "other.pt")
    settings = {**STILL, "batch_size": 300}
    run = api.train(
        spec, output=tmp_path / "run", settings=settings, device="cpu", init=tmp_path / "other.pt"
    )
    assert same({"head.weight": w.t()}, weights(run.folder))


@pytest.fixture
def other_head(tmp_path: Path) -> Path:
    """Weights of a network with three classes."""
    net = network([1, 8, 8], *LAYERS, {"linear": 3})
    path = tmp_path / "three.pt"
    torch.save(cnncalc.build(net, seed=5).state_dict(), path)
    return path


def test_another_number_of_classes_is_named(spec: Path, other_head: Path) -> None:
    status, out, err = invoke("train", str(spec), "--init", str(other_head), "-o", "nowhere")
    assert (status, out) == (2, "")
    assert err == (
        f"{other_head}: tensors without a counterpart, 2 of the model: linear1.weight (10, 54),"
        " linear1.bias (10,); 2 of the state dict: linear1.weight (3, 54), linear1.bias (3,);"
        " --init-partial starts those of the model anew\n"
    )
    assert not Path("nowhere").exists()


def test_what_does_not_fit_starts_anew_if_asked(
    spec: Path, other_head: Path, tmp_path: Path
) -> None:
    options = ("--init", str(other_head), "--init-partial", "--dry-run", "--device", "cpu")
    status, out, _ = invoke("train", str(spec), *options)
    assert status == 0
    assert f"weights    6 tensors of {other_head}; anew: linear1.weight, linear1.bias\n" in out
    run = train(tmp_path / "run", STILL, init=other_head, init_partial=True)
    ours = weights(run.folder)
    assert torch.equal(ours["conv1.weight"], torch.load(other_head)["conv1.weight"])
    plain = weights(train(tmp_path / "plain", STILL).folder)
    assert torch.equal(ours["linear1.weight"], plain["linear1.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--init", "nothing.pt"], "nothing.pt: cannot be read: No such file or directory"),
        (["--init", "tiny.yaml"], "tiny.yaml: is no checkpoint of PyTorch's"),
        (["--init", "."], ".: is no folder of a run (run.json is missing)"),
        (["--init", "one.pt", "--init-partial"], "one.pt: tensors without a counterpart, 8 of the"),
        (["--init-partial"], "--init-partial belongs to --init"),
    ],
)
def test_weights_that_cannot_be_used(
    options: list[str], message: str, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    torch.save({"weight": torch.zeros(5, 7)}, "one.pt")
    status, out, err = invoke("train", str(spec), *options, "-o", "run")
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert not Path("run").exists()


def test_a_resumed_run_needs_no_weights_to_start_from(other_head: Path, tmp_path: Path) -> None:
    options = {"init": other_head, "init_partial": True}
    whole = train(tmp_path / "whole", **options)
    train(tmp_path / "run", callback=lambda _: False, **options)
    other_head.unlink()
    run = api.resume(tmp_path / "run")
    assert same(weights(run.folder), weights(whole.folder))


@pytest.mark.parametrize(
    "options",
    [["--init", "x.pt"], ["--init-partial"], ["--no-rewrite"], ["--dry-run"], ["-o", "x"]],
)
def test_what_belongs_to_a_new_run_is_refused_beside_resume(
    options: list[str], finished: Path
) -> None:
    status, _, err = invoke("train", "--resume", str(finished), *options)
    assert status == 2
    name = {"-o": "--output", "--no-rewrite": "--rewrite"}.get(options[0], options[0])
    assert err == f"--resume goes on with a run as it was: {name} cannot stand beside it\n"


# --- --deterministic ------------------------------------------------------------------------------


def flags() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    mode = torch.are_deterministic_algorithms_enabled()
    return mode, cudnn.deterministic, cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")


ON = (True, True, False, ":4096:8")


def test_deterministic_runs_stay_so_and_leave_pytorch_as_it_was(tmp_path: Path) -> None:
    before, random = flags(), torch.get_rng_state()
    seen: list[Any] = []

    def look(_: Any) -> bool:
        seen.append(flags())
        return False

    run = train(tmp_path / "run", deterministic=True, callback=look)
    api.resume(run.folder, callback=look)
    train(tmp_path / "plain", callback=look)
    assert seen == [ON, ON, (False, False, True, before[-1])]
    assert flags() == before != ON
    assert torch.equal(torch.get_rng_state(), random)


def test_a_run_that_fails_leaves_pytorch_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, random = flags(), torch.get_rng_state()

    def fail(*_: Any) -> None:
        assert flags() == ON
        raise RuntimeError(
            "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but"
            " you set 'torch.use_deterministic_algorithms(True)'. You can turn off determinism"
        )

    monkeypatch.setattr("cnncalc.training.step.learner.Learner.learn", fail)
    with pytest.raises(cnncalc.CnncalcError) as caught:
        train(tmp_path / "run", deterministic=True)
    assert str(caught.value) == (
        "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation here:"
        " leave out --deterministic"
    )
    assert flags() == before
    assert torch.equal(torch.get_rng_state(), random)


# --- --tensorboard --------------------------------------------------------------------------------


def test_tensorboard_shows_the_metrics_of_a_resumed_run_as_well(tmp_path: Path) -> None:
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is missing"
    )
    run = train(tmp_path / "run", tensorboard=True, callback=lambda _: False)
    run = api.resume(run.folder)
    events = module.EventAccumulator(str(run.folder)).Reload()
    tags = {"loss/train": "train_loss", "accuracy/test": "test_accuracy", "lr": "lr"}
    assert {*tags} <= {*events.Tags()["scalars"]}
    for tag, name in tags.items():
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        expected = [(int(row["step"]), float(row[name])) for row in run.metrics]
        assert len(found) == 2
        assert found == [pytest.approx(pair, rel=1e-5) for pair in expected]


def test_without_tensorboard(spec: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.chdir(spec.parent)
    for command in ([str(spec), "-o", "run"], ["--resume", str(finished)]):
        status, _, err = invoke("train", *command, "--tensorboard")
        assert (status, err) == (2, "--tensorboard needs TensorBoard: pip install tensorboard\n")
    assert not Path("run").exists()


# --- callback= ------------------------------------------------------------------------------------


def test_a_callback_gets_the_rows_once_they_are_saved(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []

    def note(row: dict[str, Any]) -> None:
        assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["step"] == row["step"]
        rows.append(dict(row))
        row.clear()

    run = train(tmp_path / "run", {"data.validation": 0.1}, callback=note)
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert rows == [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(isinstance(value, int | float) for value in rows[0].values())


def test_false_from_a_callback_ends_the_run_and_resuming_goes_on(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    run = train(tmp_path / "run", callback=lambda row: row["epoch"] < 1)
    assert run.finished
    assert len(run.metrics) == 1
    assert json.loads((run.folder / "summary.json").read_text())["steps"] == 5
    assert same(weights(api.resume(run.folder).folder), weights(whole.folder))


def test_what_a_callback_raises_comes_out(tmp_path: Path) -> None:
    def prune(_: Any) -> None:
        raise LookupError("pruned")

    with pytest.raises(LookupError, match="pruned"):
        train(tmp_path / "run", callback=prune)
    assert [row["epoch"] for row in api.resume(tmp_path / "run").metrics] == ["1", "2"]


# --- --dry-run ------------------------------------------------------------------------------------


def said_of(tmp_path: Path, *options: str, ending: list[Any] | None = None) -> dict[str, str]:
    """The lines of a dry run by their names."""
    path = tmp_path / "net.yaml"
    path.write_text(json.dumps(network([1, 8, 8], "flatten", {"linear": 10}, *(ending or []))))
    status, out, err = invoke("train", str(path), *options, "--dry-run", "--device", "cpu")
    assert (status, err) == (0, "")
    return {line[:10].strip(): line[10:].strip() for line in out.splitlines()}


def test_a_batch_in_parts_takes_the_memory_of_one(tmp_path: Path) -> None:
    """Of 74 numbers for each of 4 images, not 10."""
    options = ("--batch-size", "10", "--set", "train.accumulate=3")
    assert said_of(tmp_path, *options)["memory"].endswith(f"{4 * 74 * 4:,} of activations")


def test_a_loss_of_logits_is_told_of_a_softmax(tmp_path: Path) -> None:
    said = said_of(tmp_path, ending=["softmax", "identity"])["loss"]
    assert said == "cross_entropy takes logits: better leave out the network's last softmax"
    assert said_of(tmp_path, "--set", "train.loss=mse", ending=["softmax"])["loss"] == "mse"
    assert "loss" not in said_of(tmp_path, ending=["log_softmax"])
    assert said_of(tmp_path, "--set", "train.loss=nll", ending=["log_softmax"])["loss"] == "nll"


# --- --resume -------------------------------------------------------------------------------------


def test_resuming_a_finished_run_changes_nothing(finished: Path) -> None:
    before = (finished / "metrics.csv").read_text(), weights(finished)
    run = api.resume(finished)
    assert run.finished
    assert ((finished / "metrics.csv").read_text(), weights(finished)["linear1.bias"].tolist()) == (
        before[0],
        before[1]["linear1.bias"].tolist(),
    )
    assert (finished / "summary.json").exists()


def test_a_run_that_is_patient_no_more_stays_where_it_is(tmp_path: Path) -> None:
    settings = {"epochs": 9, "patience": 1, "data.validation": 0.1, "optimizer.lr": 1e-30}
    run = train(tmp_path / "run", settings)
    assert run.finished
    assert 1 < len(run.metrics) < 9
    assert api.resume(run.folder).metrics == run.metrics
    status, out, err = invoke("train", "--resume", str(run.folder))
    assert (status, out) == (0, f"{run.folder}\n")
    last = "stopped by train.patience: no better validation loss in 1 evaluation"
    assert err.splitlines()[-1] == last


def test_data_may_be_given_by_name(tmp_path: Path) -> None:
    """A folder that belongs to the file's data set is not taken for its own."""
    spec = {**NET, "train": {"data": {"name": "npz", "dir": "x.npz"}, "steps": 1}}
    run = api.train(spec, data="digits", output=tmp_path / "run", device="cpu")
    chosen = json.loads((run.folder / "run.json").read_text())["recipe"]["data"]
    assert (chosen["name"], chosen["dir"]) == ("digits", None)
    assert len(api.resume(run.folder, data="digits", settings={"steps": 2}).metrics) == 2
    with pytest.raises(cnncalc.UsageError, match=r"train\.data\.name is fixed for a run"):
        api.resume(run.folder, data="synthetic")
    with pytest.raises(cnncalc.UsageError, match="unknown data set 'digit'; did you mean digits"):
        api.train(NET, data="digit", output=tmp_path / "other")


def test_a_longer_run_is_unfinished_meanwhile_and_remembers_it(finished: Path) -> None:
    def stop(_: Any) -> None:
        assert not (finished / "summary.json").exists()
        raise KeyboardInterrupt

    settings = {"epochs": 5, "optimizer.lr": 0.01}
    with pytest.raises(KeyboardInterrupt):
        api.resume(finished, settings=settings, callback=stop)
    assert len(api.resume(finished).metrics) == 5
    assert json.loads((finished / "run.json").read_text())["recipe"]["optimizer"]["lr"] == 0.01


def test_a_run_of_steps_goes_on_for_epochs(tmp_path: Path) -> None:
    run = train(tmp_path / "run", {"steps": 2})
    assert [row["step"] for row in api.resume(run.folder, settings={"epochs": 1}).metrics] == [
        "2",
        "5",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--batch-size", "32"], "train.batch_size is fixed for a run: 64, not 32; --init"),
        (["--seed", "1"], "train.seed is fixed for a run: 0, not 1; --init"),
        (["--data", "mnist"], "train.data.name is fixed for a run: 'digits', not 'mnist'; --init"),
        (["--validation", "0.2"], "train.data.validation is fixed for a run: 0.1, not 0.2"),
        (["--set", "train.optimizer=adam"], "train.optimizer.name is fixed for a run: 'sgd', not"),
        (["--set", "train.optimizer.weight_decay=0.1"], "train.optimizer.weight_decay is fixed"),
        (["--set", "train.ema=0"], "train.ema is fixed for a run: 0.9, not 0"),
        (["--epochs", "2"], "{run} is at step 63 already, of 42: give more epochs or steps"),
    ],
)
def test_what_a_resumed_run_may_not_change(
    settings: list[str], message: str, finished: Path
) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    status, out, err = invoke("train", "--resume", str(finished), *settings)
    assert (status, out) == (2, "")
    assert err.startswith(message.format(run=finished))
    assert before == {p.name: p.read_bytes() for p in finished.iterdir() if p.is_file()}


def test_a_run_on_data_of_pythons_asks_for_them(tmp_path: Path) -> None:
    images, labels = torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 10
    settings = {"epochs": 3, "batch_size": 25}
    whole = train(tmp_path / "whole", settings, data=(images, labels))
    run = train(tmp_path / "run", settings, data=(images, labels), callback=lambda _: False)
    with pytest.raises(cnncalc.UsageError, match="trained on data of Python's, data: give it agai"):
        api.resume(run.folder)
    with pytest.raises(
        cnncalc.UsageError, match=r"data has 59 images to train on; .* began with 60"
    ):
        api.resume(run.folder, data=(images[1:], labels[1:]))
    with pytest.raises(
        cnncalc.UsageError, match=r"data has other labels, or in another order, tha"
    ):
        api.resume(run.folder, data=(images, labels.flip(0)))
    run = api.resume(run.folder, data=(images, labels))
    assert same(weights(run.folder), weights(whole.folder))


# --- the share of the peak ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "precision", "rate"),
    [
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 156e12),
        ("NVIDIA A100 80GB PCIe", "float32", 78e12),
        ("NVIDIA A10", "float16", 62.5e12),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 494.7e12),
        ("NVIDIA H100 PCIe", "bfloat16", 378e12),
        ("NVIDIA H200", "bfloat16", 494.7e12),
        ("Tesla V100-SXM2-16GB", "float16", 62.5e12),
        ("Tesla V100-SXM2-16GB", "bfloat16", None),
        ("Tesla T4", "float16", 32.5e12),
        ("NVIDIA L4", "bfloat16", 60.5e12),
        ("NVIDIA L40S", "bfloat16", 181e12),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 82.6e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16", None),
        ("NVIDIA L40", "bfloat16", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bfloat16", None),
        ("AMD Instinct MI300X", "bfloat16", None),
    ],
)
def test_peaks_of_devices_by_name(name: str, precision: str, rate: float | None) -> None:
    assert peak_multiply_adds(name, precision) == (rate and pytest.approx(rate))


def test_the_share_is_of_the_peak_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(tmp_path / "run", STILL)
    summary = json.loads((run.folder / "summary.json").read_text())
    assert "share_of_peak" not in summary
    from cnncalc.training import outcome as module

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    share: Callable[..., Any] = module._share
    assert share(1e12, torch.device("cuda"), "float16") == {"share_of_peak": 1 / 32.5}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a new one")
    assert share(1e12, torch.device("cuda"), "float16") == {}


def test_the_speed_counts_the_images_that_there_are(tmp_path: Path) -> None:
    """Two epochs of 1,438 images in batches of 300, the last of 238."""
    run = train(tmp_path / "run")
    summary = json.loads((run.folder / "summary.json").read_text())
    images = summary["multiply_adds_per_second"] * summary["seconds"]
    assert images == pytest.approx(3 * summary["multiply_adds"] * 2 * 1438)


def test_a_field_of_the_recipe_without_train_before_it() -> None:
    status, _, errors = invoke("train", "lenet", "--set", "optimizer.lr=0.3")
    assert status == 2
    assert "did you mean --set train.optimizer.lr=0.3?" in errors


def test_digits_take_no_folder(tmp_path: Path) -> None:
    status, _, errors = invoke("train", "lenet", "--data", "digits", "--data-dir", str(tmp_path))
    assert status == 2
    assert f"digits needs no folder: leave out {tmp_path}" in errors


def test_another_data_set_is_not_looked_for_in_the_folder_of_the_files_own() -> None:
    recipe = {"data": {"name": "imagefolder", "dir": "pictures"}}
    spec = {"input": [1, 8, 8], "layers": ["flatten", {"linear": 10}], "train": recipe}
    loaded = cnncalc.load(spec)
    assert loaded.recipe({"data.name": "digits"}).data.dir is None
    assert loaded.recipe({"data.name": "npz", "data.dir": "x"}).data.dir == "x"
    assert loaded.recipe({"data.validation": 0.1}).data.dir == "pictures"


def test_a_dry_run_says_where_the_images_lie_and_what_happens_to_them() -> None:
    settings = ("--set", "train.augment={crop: 1, flip: true}")
    status, output, _ = invoke("train", "lenet", "--dry-run", "--device", "cpu", *settings)
    assert status == 0
    assert "10 classes; held in memory\n" in output
    assert "augment    crop 1, flip\n" in output
