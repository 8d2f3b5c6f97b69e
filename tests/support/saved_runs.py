"""What several tests ask of a saved run: the fixtures `run` and `plan` are in conftest.py."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import cnncalc
from support.processes import invoke

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")


from cnncalc.training.plan import Plan  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402


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


def copies(run: Path, *names: str) -> Path:
    """Copies of a run beside it, each begun a minute after the one before."""
    for number, name in enumerate(names, 1):
        shutil.copytree(run, run.with_name(name))
        begun = (run / "environment.json").stat().st_mtime + 60 * number
        os.utime(run.with_name(name) / "environment.json", (begun, begun))
    return run.parent
