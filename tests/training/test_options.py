"""The options of a run are stated once: a field of `RunOptions` is all that a new one takes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from support import network
from support.processes import environment, invoke

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.training.options import RunOptions  # noqa: E402

NET = network([1, 8, 8], "flatten", {"linear": 10}, name="tiny")
PLANTED = """
import inspect, sys
from dataclasses import dataclass, field
from cnncalc.training import options


@dataclass(frozen=True, kw_only=True)
class Planted(options.RunOptions):
    polite: bool = field(default=False, metadata=options._shown("--polite/--rude", "With bows."))


options.RunOptions = Planted
import cnncalc
from cnncalc.cli import main

assert inspect.signature(cnncalc.train).parameters["polite"].default is False
sys.argv = ["cnncalc", *sys.argv[1:]]
main()
"""

pytestmark = pytest.mark.training


def planted(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of a cnncalc whose runs have one more option."""
    command = [sys.executable, "-c", PLANTED, *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.exhaustive
def test_a_planted_option_is_found_in_all_places(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(json.dumps(NET), encoding="utf-8")
    run = ("train", "tiny.yaml", "-o", "run", "--steps", "1", "--device", "cpu", "--polite", "-q")
    begun = planted(tmp_path, *run)
    assert (begun.returncode, begun.stderr) == (0, "")
    description = tmp_path / "run" / "run.json"
    assert json.loads(description.read_text())["polite"] is True
    refused = planted(tmp_path, "train", "--resume", "run", "--polite")
    assert refused.returncode == 2
    assert refused.stderr == (
        "--resume goes on with a run as it was: --polite cannot stand beside it\n"
    )
    longer = planted(tmp_path, "train", "--resume", "run", "--steps", "2", "-q")
    assert (longer.returncode, longer.stderr) == (0, "")
    assert json.loads(description.read_text())["polite"] is True
    shown = " ".join(planted(tmp_path, "train", "--help").stdout.split())
    assert "--polite / --rude With bows." in shown


def test_the_options_of_a_run_are_parameters() -> None:
    """`cnncalc.resume` has those that may change; None there is what the run began with."""
    ours = {each.name: each.default for each in fields(RunOptions)}
    new = inspect.signature(cnncalc.train).parameters
    assert {name: new[name].default for name in ours} == ours
    again = inspect.signature(cnncalc.resume).parameters
    assert {name for name in ours if name in again} == {
        *("device", "cuda_graph", "deterministic", "tensorboard")
    }
    assert all(again[name].default is None for name in ours if name in again)


def test_the_signature_is_what_it_was() -> None:
    """All but the network by keyword; what is unknown is told as of any function."""
    first, *others = inspect.signature(cnncalc.train).parameters.values()
    assert (first.name, first.kind) == ("network", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert {each.kind for each in others} == {inspect.Parameter.KEYWORD_ONLY}
    assert {each.name for each in others} == {
        *("data", "device", "output", "settings", "callback", "init", "init_partial"),
        *("deterministic", "tensorboard", "progress", "rewrite", "compiled", "cuda_graph"),
    }
    with pytest.raises(TypeError, match=r"^got an unexpected keyword argument 'epochs'$"):
        cnncalc.train(NET, epochs=3)  # type: ignore[call-arg]


def test_a_run_from_before_there_was_an_option_does_without(tmp_path: Path) -> None:
    run = cnncalc.train(NET, output=tmp_path / "run", settings={"steps": 1}, device="cpu").folder
    known = json.loads((run / "run.json").read_text())
    assert known["rewrite"] is True
    for name in ("rewrite", "compiled", "cuda_graph", "deterministic", "tensorboard"):
        del known[name]
    (run / "run.json").write_text(json.dumps(known), encoding="utf-8")
    assert cnncalc.resume(run, settings={"steps": 2}).finished
    found = json.loads((run / "run.json").read_text())
    assert (found["rewrite"], found["cuda_graph"], found["device"]) == (False, None, "cpu")


def test_every_option_is_in_the_help() -> None:
    status, shown, _ = invoke("train", "--help")
    flags = [each.metadata.get("flag", "--device") for each in fields(RunOptions)]
    assert status == 0
    assert all(name in shown for flag in flags for name in flag.split("/"))
