"""Of several processes one says what went wrong, and only a command that trains asks which."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.processes import environment

AS_STARTED = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
"""What torchrun sets, beside the ranks."""


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cnncalc", *arguments],
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def said(process: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in process.stderr.splitlines() if not line.startswith("import time:")]


@pytest.mark.parametrize(
    ("rank", "count"), [("0", 1), pytest.param("1", 0, marks=pytest.mark.exhaustive)]
)
def test_one_process_says_what_all_meet(rank: str, count: int) -> None:
    """Before they have met."""
    pytest.importorskip("torch", reason="without it, what is said is that it is missing")
    found = run("train", "nonet", RANK=rank, LOCAL_RANK=rank, **AS_STARTED)
    assert found.returncode == 2
    assert len(said(found)) == count
    assert all(line.startswith("nonet") or "nonet" in line for line in said(found))


def test_a_command_that_does_not_train_knows_of_no_processes() -> None:
    found = run("summarize", "nonet")
    assert found.returncode == 2
    assert len(said(found)) == 1
    assert "cnncalc.errors" in found.stderr
    assert "cnncalc.training" not in found.stderr
