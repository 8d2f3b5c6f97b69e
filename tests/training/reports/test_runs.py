"""`cnncalc evaluate`, `predict`, `runs` and `plot`: what a saved run says, and says is wrong."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support import conv, network
from support.processes import invoke, on_terminal
from test_no_torch import HEAVY, loaded_by

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from PIL import Image  # noqa: E402

from cnncalc.runs import records  # noqa: E402
from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.options import RunOptions  # noqa: E402
from cnncalc.training.plan import Plan, plan_run  # noqa: E402
from cnncalc.training.reports import plotting  # noqa: E402
from cnncalc.training.reports.tables import runs_table  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402
from cnncalc.training.step.losses import probabilities  # noqa: E402

CPU = RunOptions(device="cpu")

pytestmark = pytest.mark.training


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(tiny_run, folder)
    return folder


@pytest.fixture(scope="module")
def plan(tiny_run: Path) -> Plan:
    """The data of the run."""
    known = json.loads((tiny_run / "run.json").read_text())
    loaded = cnncalc.load(**known["network"])
    return plan_run(loaded, loaded.recipe(known["settings"]), CPU)


def metrics(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def scores_of(run: Path, plan: Plan, images: Any) -> Any:
    """Worked out by hand from best.pt: uint8 (N, 1, 8, 8) -> (N, 10)."""
    model = cnncalc.build(plan.network).eval()
    model.load_state_dict(read_checkpoint(run / "checkpoints" / "best.pt")["model"])
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (plan.data.mean, plan.data.std))
    with torch.no_grad():
        return model((images / 255 - mean) / std)


def said(*arguments: str) -> str:
    """What a command prints; it must succeed and say nothing on stderr."""
    status, out, err = invoke(*arguments)
    assert (status, err) == (0, "")
    return out


def refused(*arguments: str) -> str:
    """The one line of a command that is refused."""
    status, out, err = invoke(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    return err.strip()


# --- evaluate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "name"), [("test", "test"), ("validation", "val")])
def test_the_last_weights_give_the_last_row_of_the_metrics(
    split: str, name: str, tiny_run: Path
) -> None:
    """The averaged weights: those that the run was evaluated with."""
    found = cnncalc.evaluate(tiny_run, split=split, weights="last", device="cpu")
    last = metrics(tiny_run)[-1]
    assert found.loss == pytest.approx(float(last[f"{name}_loss"]), rel=1e-5)
    assert found.accuracy == pytest.approx(float(last[f"{name}_accuracy"]), rel=1e-5)
    assert (found.step, found.weights) == (int(last["step"]), "last")


def test_the_best_weights_are_those_of_the_best_validation_loss(tiny_run: Path) -> None:
    found = cnncalc.evaluate(tiny_run, split="validation", device="cpu")
    best = min(metrics(tiny_run), key=lambda row: float(row["val_loss"]))
    assert found.weights == "best"
    assert found.step == int(best["step"])
    assert found.loss == pytest.approx(float(best["val_loss"]), rel=1e-5)


def test_figures_by_hand(tiny_run: Path, plan: Plan) -> None:
    test: Any = plan.data.test
    scores = scores_of(tiny_run, plan, test.images)
    found = cnncalc.evaluate(tiny_run, device="cpu")
    guessed = scores.argmax(1)
    assert found.samples == len(test.labels) == sum(found.class_samples)
    assert found.accuracy == pytest.approx((guessed == test.labels).double().mean().item())
    ranks = (scores > scores.gather(1, test.labels[:, None])).sum(1)
    assert found.top5_accuracy == pytest.approx((ranks < 5).double().mean().item())
    for label in range(10):
        own = guessed[test.labels == label]
        assert found.confusion[label] == tuple((own == other).sum().item() for other in range(10))
        assert found.class_accuracies[label] == pytest.approx((own == label).double().mean().item())


def test_evaluate_as_json(tiny_run: Path) -> None:
    text = said("evaluate", str(tiny_run), "--split", "train", "--format", "json")
    data, found = json.loads(text), cnncalc.evaluate(tiny_run, split="train")
    assert (data["schema_version"], data["split"], data["data"]) == (1, "train", "digits")
    assert data["accuracy"] == found.accuracy
    assert data["confusion"] == [list(row) for row in found.confusion]
    assert data["classes"][3] == {
        "name": "3",
        "samples": found.class_samples[3],
        "accuracy": found.class_accuracies[3],
    }


def test_evaluate_as_a_table(tiny_run: Path) -> None:
    lines = said("evaluate", str(tiny_run), "--device", "cpu").splitlines()
    found = cnncalc.evaluate(tiny_run, device="cpu")
    assert lines[0] == f"tiny: tiny on digits, test; best weights, step {found.step}"
    assert f"loss {found.loss:11.4f}" in lines
    assert f"top-1{found.accuracy:11.2%}" in lines
    row = lines[-10].split()
    assert row[:3] == ["0", str(found.class_samples[0]), f"{found.class_accuracies[0]:.2%}"]
    assert [int(cell.replace("·", "0")) for cell in row[3:]] == [*found.confusion[0]]


@pytest.mark.exhaustive
def test_a_matrix_without_room_gives_way(tiny_run: Path) -> None:
    narrow = on_terminal("evaluate", str(tiny_run), columns=50, NO_COLOR="1")
    assert "most often taken for" in narrow
    assert max(map(len, narrow.splitlines())) <= 50


def test_other_data_are_normalised_as_in_training(tiny_run: Path, plan: Plan) -> None:
    test: Any = plan.data.test
    noise = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8)
    data = {"train": (noise, torch.arange(20) % 10), "test": (test.images, test.labels)}
    ours, other = cnncalc.evaluate(tiny_run), cnncalc.evaluate(tiny_run, data=data)
    assert (other.loss, other.confusion) == (ours.loss, ours.confusion)
    with pytest.raises(
        cnncalc.UsageError, match="data has no validation split; use --split test or train"
    ):
        cnncalc.evaluate(tiny_run, data=data, split="validation")


def test_data_from_python_are_the_split_that_is_evaluated(tiny_run: Path, plan: Plan) -> None:
    """A few images of some classes too, which could not be trained on."""
    test: Any = plan.data.test
    few = test.labels % 3 == 1
    data = test.images[few], test.labels[few]
    found = cnncalc.evaluate(tiny_run, data=data)
    assert (found.samples, found.split) == (int(few.sum()), "test")
    whole = cnncalc.evaluate(tiny_run)
    assert found.classes == whole.classes
    kept = [row if label % 3 == 1 else (0,) * 10 for label, row in enumerate(whole.confusion)]
    assert [*found.confusion] == kept
    for other, split in (({"test": data}, "test"), ({"validation": data}, "validation")):
        again = cnncalc.evaluate(tiny_run, data=other, split=split)
        assert (again.loss, again.confusion) == (found.loss, found.confusion)
    with pytest.raises(cnncalc.UsageError, match="data: label 10 in the train split is out of"):
        cnncalc.evaluate(tiny_run, data=(data[0], data[1] + 3))


def test_what_training_needs_is_not_asked_of_other_data(run: Path, plan: Plan) -> None:
    """Patience counts evaluations of a validation split, and jitter is for numbers from 0 to 1."""
    known = json.loads((run / "run.json").read_text())
    known["settings"] |= {"patience": 3, "augment.color_jitter": 0.1}
    (run / "run.json").write_text(json.dumps(known))
    data = torch.randn(20, 1, 8, 8), torch.arange(20) % 10
    assert cnncalc.evaluate(run, data=data).samples == 20
    found = cnncalc.evaluate(run, data="synthetic")
    assert (found.data, found.samples) == ("synthetic", 2000)


def test_data_that_do_not_fit_a_run_are_refused_without_advice_for_its_network(
    run: Path, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (9, 9), "red").save(tmp_path / "photos" / name / f"{number}.png")
    options = ("--data", "imagefolder", "--data-dir", str(tmp_path / "photos"))
    assert refused("evaluate", str(run), *options) == (
        "imagefolder has 2 classes, the network 10 outputs"
    )


def test_other_data_by_name(tiny_run: Path, tmp_path: Path, plan: Plan) -> None:
    np = pytest.importorskip("numpy")
    test: Any = plan.data.test
    x, y = test.images.numpy(), test.labels.numpy()
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    options = ("--data", "npz", "--data-dir", str(tmp_path / "x.npz"), "--format", "json")
    assert json.loads(said("evaluate", str(tiny_run), *options))["samples"] == 50


def test_classes_in_another_order_are_refused(tiny_run: Path, plan: Plan) -> None:
    turned = cnncalc.training.data.DataSet(
        "turned", plan.data.classes[::-1], *(plan.data.train,) * 3, (0.5,), (0.5,)
    )
    with pytest.raises(cnncalc.UsageError, match="turned has the classes of the run's data in an"):
        cnncalc.evaluate(tiny_run, data=turned)


def test_a_run_on_data_from_python_asks_for_them(tmp_path: Path) -> None:
    images, labels = torch.randint(256, (30, 1, 4, 4), dtype=torch.uint8), torch.arange(30) % 3
    done = api.train(
        network([1, 4, 4], "flatten", {"linear": 3}),
        data=(images, labels),
        output=tmp_path / "run",
        settings={"steps": 2},
        device="cpu",
    )
    with pytest.raises(cnncalc.UsageError, match="trained on data handed over in Python"):
        cnncalc.evaluate(done)
    found = cnncalc.evaluate(done, data=(images, labels), split="train")
    assert (found.samples, found.weights, found.top5_accuracy) == (30, "last", 1.0)
    with pytest.raises(cnncalc.UsageError, match=r"there is no best\.pt: .* use --weights last"):
        cnncalc.evaluate(done, data=(images, labels), weights="best")


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "large.png"]])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(
    command: list[str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    Image.linear_gradient("L").save("large.png")
    last = run / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    options = ("--weights", "last", "--format", "json")
    status, out, err = invoke(command[0], str(run), *command[1:], *options)
    assert status == 0
    assert json.loads(out)["step"] == int(metrics(run)[-2]["step"])
    assert "last.pt: the checkpoint is damaged" in err
    assert err.endswith("; an older one is used\n")


def test_a_run_of_a_gpu_in_float16_is_evaluated_on_the_cpu(run: Path) -> None:
    known = json.loads((run / "run.json").read_text())
    known["settings"]["precision"] = "float16"
    (run / "run.json").write_text(json.dumps(known))
    last = float(metrics(run)[-1]["test_loss"])
    found = cnncalc.evaluate(run, weights="last", device="cpu")
    assert found.loss == pytest.approx(last, rel=0.02)


# --- what is wrong with a run ---------------------------------------------------------------------


def test_what_is_no_run(tmp_path: Path) -> None:
    for command in (["evaluate"], ["predict", "x.png"]):
        line = refused(command[0], str(tmp_path), *command[1:])
        assert line == f"{tmp_path}: is no folder of a run (run.json is missing)"


def test_a_run_that_is_near_is_named(run: Path) -> None:
    copies(run, "other")
    for path, near in (
        (run.parent, run),
        (run.parent.parent, run),
        (run / "checkpoints" / "last.pt", run),
    ):
        assert refused("evaluate", str(path)).endswith(f"is missing); did you mean {near}?")


def test_a_run_without_checkpoints(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    assert refused("evaluate", str(run)) == f"{run}: there is no checkpoint yet"


def test_a_damaged_best_checkpoint(run: Path) -> None:
    (run / "checkpoints" / "best.pt").write_bytes(b"nothing")
    line = refused("evaluate", str(run))
    assert "best.pt: the checkpoint is damaged" in line
    assert line.endswith("; use --weights last")


def test_weights_that_do_not_fit(run: Path) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace('"out_channels": 6', '"out_channels": 7'))
    line = refused("evaluate", str(run))
    assert "best.pt does not fit the network of run.json: size mismatch for " in line


@pytest.mark.parametrize("state", [{"step": 3}, {"model": 3}, [3]])
def test_a_checkpoint_without_weights(state: Any, run: Path) -> None:
    torch.save(state, run / "checkpoints" / "best.pt")
    assert refused("evaluate", str(run)).endswith("best.pt: the checkpoint holds no weights")


@pytest.mark.parametrize("text", ["{}", "[]", '{"network": 3}'])
def test_a_damaged_description(text: str, run: Path) -> None:
    (run / "run.json").write_text(text)
    assert refused("evaluate", str(run)) == f"{run}: run.json is damaged"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "tset"], "there is no split 'tset'; did you mean test?"),
        (["--weights", "lst"], "there are no weights 'lst'; did you mean last?"),
        (["--format", "jsn"], "there is no format 'jsn'; did you mean json?"),
        (["--data", "mnst"], "unknown data set 'mnst'; did you mean mnist?"),
        (["--device", "gpu"], "there is no device 'gpu'; use auto, cpu, cuda, cuda:1 or mps"),
    ],
)
def test_wrong_options(options: list[str], message: str, tiny_run: Path) -> None:
    assert refused("evaluate", str(tiny_run), *options) == message


# --- predict --------------------------------------------------------------------------------------


def test_probabilities_of_images(tiny_run: Path, plan: Plan, tmp_path: Path) -> None:
    test: Any = plan.data.test
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, image in zip(paths, test.images, strict=False):
        Image.fromarray(image[0].numpy()).save(path)
    shares = scores_of(tiny_run, plan, test.images[:3]).softmax(1)
    found = cnncalc.predict(tiny_run, paths, top=20, device="cpu")
    assert [prediction.image for prediction in found.images] == [str(path) for path in paths]
    for prediction, expected in zip(found.images, shares, strict=True):
        known = {int(guess.label): guess.probability for guess in prediction.guesses}
        assert [*known.values()] == sorted(known.values(), reverse=True)
        assert sum(known.values()) == pytest.approx(1)
        assert [known[label] for label in range(10)] == pytest.approx(expected.tolist(), abs=1e-6)


def test_predict_prints_a_table_or_json(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.linear_gradient("L").save(path)
    (found,) = cnncalc.predict(tiny_run, path, top=2).images
    lines = said("predict", str(tiny_run), str(path), "--top", "2").splitlines()
    first, second = found.guesses
    assert lines[-2].split() == [str(path), first.label, f"{first.probability:.2%}"]
    assert lines[-1].split() == [second.label, f"{second.probability:.2%}"]
    data = json.loads(said("predict", str(tiny_run), str(path), "--format", "json"))
    assert len(data["predictions"][0]["labels"]) == 5
    assert data["predictions"][0]["labels"][0]["label"] == first.label


def test_images_that_cannot_be_read(tiny_run: Path, tmp_path: Path) -> None:
    good, text, missing = tmp_path / "good.png", tmp_path / "text.png", tmp_path / "missing.png"
    Image.linear_gradient("L").save(good)
    text.write_text("no image")
    for path, reason in (
        (text, "a corrupt image: it is no image"),
        (missing, "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        assert refused("predict", str(tiny_run), str(good), str(path)) == f"{path}: {reason}"


def test_predict_refuses_what_it_cannot_do(tiny_run: Path, run: Path) -> None:
    assert refused("predict", str(tiny_run), "x.png", "--top", "0").startswith("--top must be at")
    text = (run / "run.json").read_text().replace('"name": "tiny"', '"name": "two"')
    known = json.loads(text)
    known["network"] |= {"input": [2, 8, 8]}
    (run / "run.json").write_text(json.dumps(known))
    shutil.rmtree(run / "checkpoints")
    model = cnncalc.build(cnncalc.load(**known["network"]))
    (run / "checkpoints").mkdir()
    torch.save({"model": model.state_dict(), "step": 1}, run / "checkpoints" / "best.pt")
    assert refused("predict", str(run), "x.png") == "two takes 2x8x8, which no image file holds"


def test_probabilities_follow_the_loss() -> None:
    shares = torch.tensor([[0.1, 0.2, 0.7]], dtype=torch.float64)
    assert torch.allclose(probabilities(shares.log() + 3, "cross_entropy"), shares)
    assert torch.allclose(probabilities(shares.log(), "nll"), shares)
    assert torch.allclose(probabilities(2 * shares, "mse"), shares)
    assert probabilities(-shares, "mse").isfinite().all()


# --- runs -----------------------------------------------------------------------------------------


def copies(run: Path, *names: str) -> Path:
    """Copies of a run beside it, each begun a minute after the one before."""
    for number, name in enumerate(names, 1):
        shutil.copytree(run, run.with_name(name))
        begun = (run / "environment.json").stat().st_mtime + 60 * number
        os.utime(run.with_name(name) / "environment.json", (begun, begun))
    return run.parent


def test_runs_are_listed_newest_first(run: Path) -> None:
    folder = copies(run, "b", "a")
    (folder / "notes").mkdir()
    (folder / "file.txt").touch()
    lines = said("runs", str(folder)).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["a", "b", "tiny"]
    rows = metrics(run)
    assert lines[-1].split() == [
        "tiny",
        "tiny",
        "3",
        rows[-1]["step"],
        f"{float(rows[-1]['val_accuracy']):.2%}",
        f"{float(rows[-1]['test_accuracy']):.2%}",
        f"{min(float(row['val_loss']) for row in rows):.4f}",
        f"{float(rows[-1]['seconds']):.1f}",
        "finished",
    ]


def test_runs_that_are_not_finished_or_damaged(run: Path) -> None:
    folder = copies(run, "cut", "begun", "more", "hurt", "lost")
    for name in ("cut", "begun"):
        (folder / name / "summary.json").unlink()
    with (folder / "cut" / "metrics.csv").open("a") as file:
        file.write("4,9")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    (folder / "begun" / "metrics.csv").write_text(f"{header}\n")
    with (folder / "more" / "metrics.csv").open("a") as file:
        file.write("4,100,0.1,0.9,nan,0.9,,,0.1,9.5,100\n")
    (folder / "hurt" / "metrics.csv").write_text(f"{header}\n1,x\n")
    (folder / "lost" / "run.json").unlink()
    status, out, err = invoke("runs", str(folder), "--format", "json")
    assert (status, err) == (0, "")
    found = {Path(each["run"]).name: each for each in json.loads(out)["runs"]}
    assert {name: each["state"] for name, each in found.items()} == {
        "tiny": "finished",
        "cut": "unfinished",
        "begun": "unfinished",
        "more": "unfinished",
        "hurt": "damaged",
        "lost": "damaged",
    }
    assert found["cut"]["epoch"] == 3
    assert (found["begun"]["epoch"], found["begun"]["test_accuracy"]) == (0, None)
    assert found["more"]["best_val_loss"] == found["tiny"]["best_val_loss"]
    assert found["hurt"]["problem"] == "metrics.csv is damaged"
    assert found["lost"]["problem"] == "is no folder of a run (run.json is missing)"
    assert "damaged: metrics.csv is damaged" in said("runs", str(folder))


def test_runs_of_a_folder_that_is_a_run_empty_or_missing(run: Path, tmp_path: Path) -> None:
    assert said("runs", str(run)).splitlines()[-1].split()[0] == "tiny"
    (tmp_path / "empty").mkdir()
    assert json.loads(said("runs", str(tmp_path / "empty"), "--format", "json"))["runs"] == []
    missing = tmp_path / "missing"
    assert refused("runs", str(missing)) == f"{missing}: there is no such folder"


def test_a_terminal_of_80_columns_shows_runs_by_their_names(run: Path) -> None:
    """A line a run, and no title cut: what is less needed gives way."""
    name = "resnet18_cifar-20261121-101501"
    records_of = [records.record_of(path) for path in (copies(run, name) / name, run)]
    lines = runs_table(records_of, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[-2:]] == [name, "tiny"]
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "best",
        "val test val",
        "run epochs accuracy accuracy loss state",
    ]


def test_listing_runs_loads_no_torch(run: Path) -> None:
    assert not loaded_by("runs", str(run.parent)) & HEAVY


# --- plot -----------------------------------------------------------------------------------------


@pytest.fixture
def matplotlib() -> Any:
    return pytest.importorskip("matplotlib", reason="matplotlib is not installed")


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize("what", plotting.KINDS)
def test_pictures(what: str, run: Path, tmp_path: Path) -> None:
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    assert said("plot", str(run), "-o", str(png), "--what", what) == f"{png}: {what} of tiny\n"
    said("plot", str(run), "-o", str(svg), "--what", what)
    with Image.open(png) as image:
        assert len(image.convert("L").getcolors() or []) > 10
    assert ET.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "a.png", "a.svg"}
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.usefixtures("matplotlib")
def test_curves_are_those_of_the_metrics(run: Path) -> None:
    from cnncalc.training.reports.figures import curves

    folder = copies(run, "_odd $_$ name")
    figure = curves(records.metrics_of([run, folder / "_odd $_$ name"]))
    rows = metrics(run)
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        assert len(lines) == 6
        for split in ("train", "val", "test"):
            points = [(int(row["epoch"]), float(row[f"{split}_{quantity}"])) for row in rows]
            assert lines[f"tiny, {split}"].get_xydata().tolist() == [[*point] for point in points]
    figure.savefig(folder / "x.svg")


@pytest.mark.usefixtures("matplotlib")
def test_the_names_of_many_runs_leave_room_for_their_curves(run: Path) -> None:
    from cnncalc.training.reports.figures import curves

    rows = [{**row, "val_loss": None, "val_accuracy": None} for row in records.read_metrics(run)]
    names = [f"resnet18_cifar-20261121-1015{number}" for number in range(10, 40)]
    figure = curves(dict.fromkeys(names, rows))
    figure.savefig(run / "x.png")  # warns, which is an error here, where axes have no room
    for axes in figure.axes:
        assert axes.get_window_extent().height > 2.5 * figure.dpi
        assert axes.get_legend() is None
        assert len({line.get_color() for line in axes.get_lines()}) == len(names)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*names, "test", "train"]


@pytest.mark.usefixtures("matplotlib")
def test_long_names_leave_room_for_the_confusion_matrix(tmp_path: Path) -> None:
    from cnncalc.training.reports.figures import confusion

    title = "a network of a very long name on a data set, test: 50.00%"
    figure = confusion(title, ["a class of forty letters, more or less", "b"], [[3, 0], [3, 0]])
    figure.savefig(tmp_path / "x.png")
    matrix, _ = figure.axes
    assert min(matrix.get_window_extent().bounds[2:]) > 3 * figure.dpi
    assert figure._suptitle.get_window_extent().width < figure.bbox.width
    names = [label.get_text() for label in matrix.get_yticklabels()]
    assert names == ["a class of forty letters, mor…", "b"]


@pytest.mark.usefixtures("matplotlib")
def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other" / "tiny")
    names = [str(run), str(tmp_path / "other" / "tiny")]
    assert list(records.metrics_of(map(Path, names))) == names
    assert "curves of tiny, tiny" in said("plot", *names, "-o", str(tmp_path / "two.svg"))


def test_filters_stand_side_by_side() -> None:
    images = torch.rand(5, 3, 2, 4)
    whole = plotting.mosaic(images)
    assert whole.shape == (5, 14, 3)
    assert torch.equal(whole[3:5, 5:9], images[4].permute(1, 2, 0))
    assert whole[2].unique(dim=0).flatten().tolist() == pytest.approx([0.75, 0.85, 1.0])


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "x.pdf"], "x.pdf: a picture ends in .png or .svg"),
        (["-o", "x"], "x: a picture ends in .png or .svg"),
        (["-o", "x.png", "--what", "filter"], "there is no plot 'filter'; did you mean filters?"),
        (["again", "-o", "x.png", "--what", "filters"], "filters are drawn of one run; received 2"),
        (["-o", "x.png", "--weights", "last"], "curves are drawn from the metrics, whatever the"),
        (["again", "-o", "x.png"], "again: is no folder of a run (metrics.csv is missing)"),
    ],
)
def test_what_cannot_be_drawn(
    options: list[str], message: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert refused("plot", str(run), *options).startswith(message)
    assert not (run / "x.png").exists()


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "net has no convolution of images"),
        ([conv(2, 1), conv(3, 1)], None),
        ([{"slice": {"start": 0, "stop": 2}}, conv(2, 1)], "conv1 sees 2 channels"),
    ],
)
def test_filters_that_can_be_shown(layers: list[Any], message: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    data = (torch.randint(256, (9, 3, 4, 4), dtype=torch.uint8), torch.arange(9) % 3)
    net = network([3, 4, 4], *layers, "flatten", {"linear": 3}, name="net")
    api.train(net, data=data, output=folder, settings={"steps": 1}, device="cpu")
    command = ["plot", str(folder), "-o", str(tmp_path / "x.png"), "--what", "filters"]
    if message is None:
        assert said(*command).endswith("filters of net\n")
    else:
        assert refused(*command).startswith(message)


def test_a_run_that_was_not_evaluated_has_no_curves(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    (run / "metrics.csv").write_text(f"{header}\n")
    line = refused("plot", str(run), "-o", str(tmp_path / "x.svg"))
    assert line == "tiny: it has not been evaluated yet"


def test_without_matplotlib(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cnncalc.training.reports.figures", raising=False)
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    line = refused("plot", str(run), "-o", str(run / "x.png"))
    assert line == "plot needs matplotlib: pip install matplotlib"


def test_scores_of_no_class_are_not_what_an_image_is_taken_for() -> None:
    """A network may have more outputs than its data have classes."""
    from cnncalc.training.data import Split
    from cnncalc.training.step.evaluation import Evaluator

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: Any) -> Any:
            scores = torch.zeros(len(x), 5)
            scores[:, 4], scores[:, 1] = 2, 1  # the highest belongs to no class
            return scores + self.weight

    split = Split(torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2] * 2))
    evaluator = Evaluator(
        lambda images: images.float(),
        lambda scores, y: torch.nn.functional.cross_entropy(scores, y, reduction="none"),
        3,
        lambda: torch.autocast("cpu", enabled=False),
    )
    figures = evaluator.figures(Scores(), split)
    assert figures.confusion.tolist() == [[0, 2, 0]] * 3
    assert figures.accuracy == pytest.approx(1 / 3)
