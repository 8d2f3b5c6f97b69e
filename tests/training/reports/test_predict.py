"""`cnncalc predict`: what images are taken for, and what cannot be read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from PIL import Image  # noqa: E402
from support.saved_runs import refused, said, scores_of  # noqa: E402

from cnncalc.training.plan import Plan  # noqa: E402
from cnncalc.training.step.losses import probabilities  # noqa: E402

pytestmark = pytest.mark.training


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
