"""What is wrong with a saved run is one line, whichever command opens it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from support.saved_runs import copies, refused  # noqa: E402

pytestmark = pytest.mark.training


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
