"""The scripts beside the suite that are more than one command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest
from support.places import ROOT


def oldest(*extras: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "oldest"), *extras]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("extras", [(), ("test",), ("test", "train")])
def test_constraints_are_the_lowest_versions_of_pyproject(extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    done = oldest(*extras)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [line.replace(">=", "==") for line in wanted]
    assert any(line.startswith("pyyaml==") for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("tset", "pyproject.toml has no extra tset; it has train, "),
        ("benchmarks", "pyproject.toml: torchinfo: states no lowest version as name>=version"),
    ],
)
def test_what_has_no_lowest_version(extra: str, message: str) -> None:
    done = oldest(extra)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)


def test_scripts_can_be_run() -> None:
    """`scripts/test` hands its arguments on to pytest."""
    script = ROOT / "scripts" / "test"
    text = script.read_text(encoding="utf-8")
    assert text.rstrip().endswith('exec python -m pytest -n auto --dist loadfile "$@"')
    for name in ("check", "test", "docs", "goldens"):
        file = ROOT / "scripts" / name
        assert os.access(file, os.X_OK), name
        done = subprocess.run(["bash", "-n", str(file)], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), name


def test_the_documentation_lists_its_pages() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= {*re.findall(r"\]\(([\w.]+\.md)\)", index)}
    decisions = ROOT / "docs" / "decisions"
    listed = {*re.findall(r"\]\((\w+\.md)\)", (decisions / "README.md").read_text("utf-8"))}
    assert {page.name for page in decisions.glob("*.md")} - {"README.md"} == listed
