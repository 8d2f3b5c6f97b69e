"""`cnncalc evaluate`: what a saved run says of any split or other data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import network
from support.processes import invoke, on_terminal

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from PIL import Image  # noqa: E402
from support.saved_runs import metrics, refused, said, scores_of  # noqa: E402

from cnncalc.training import train as api  # noqa: E402
from cnncalc.training.plan import Plan  # noqa: E402

pytestmark = pytest.mark.training


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
