"""The numbered steps of CONTRIBUTING.md, carried out as written in a copy of the tree.

A step that changes a file is one of these, with a fenced block below it:

    1. Write `path`:
    2. In `path`, after `line`:
    3. In `path`, before `line`:
    4. At the end of `path`:
    5. Run `command`.

The block goes in beside the one line that is `line` without its indentation, indented as that line
is, or one level deeper after a line that opens a bracket or a block.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from support.places import ROOT

COPIED = ("architectures", "cnncalc", "docs", "scripts", "tests")
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "pyproject.toml")
_STEP = re.compile(r"^(\d+)\. ", re.MULTILINE)
_FENCE = re.compile(r"^( *)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FORMS = {
    "write": re.compile(r"Write `(?P<path>[^`]+)`"),
    "after": re.compile(r"In `(?P<path>[^`]+)`, after `(?P<line>[^`]+)`"),
    "before": re.compile(r"In `(?P<path>[^`]+)`, before `(?P<line>[^`]+)`"),
    "append": re.compile(r"At the end of `(?P<path>[^`]+)`"),
    "run": re.compile(r"Run `(?P<path>[^`]+)`"),
}


class Step(NamedTuple):
    """`form` is a key of `_FORMS`; `path` a file, or the command to run; `line` the place in it."""

    number: int
    form: str
    path: str
    line: str
    block: str


def steps(section: str) -> list[Step]:
    """The steps of the section of that title.

    Raises:
        ValueError: there is none, or one of its blocks stands below no step of a known form.
    """
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(
        rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise ValueError(f"CONTRIBUTING.md has no section {section!r}")
    _, *parts = _STEP.split(found[1])
    return [
        _step(section, int(number), text)
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _step(section: str, number: int, text: str) -> Step:
    fence = _FENCE.search(text)
    block = textwrap.dedent(fence[2]) if fence else ""
    for form, pattern in _FORMS.items():
        match = pattern.match(" ".join(text[: fence.start() if fence else None].split()))
        if match and (form == "run") == (fence is None):
            return Step(number, form, match["path"], match.groupdict().get("line", ""), block)
    raise ValueError(f"{section}, step {number}, is in no form that support/steps.py knows")


def copy_of_the_tree(folder: Path) -> Path:
    """What a contributor has after `git clone`."""
    root = folder / "tree"
    left_out = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    for name in PAGES:
        shutil.copyfile(ROOT / name, root / name)
    return root


def carry_out(
    section: str, folder: Path, *, forget: int | None = None, commands: bool = True
) -> Path:
    """A copy of the tree in `folder`, in which all steps but number `forget` are done.

    Without `commands` those that run one are left out as well.
    """
    root = copy_of_the_tree(folder)
    found = steps(section)
    assert forget is None or forget in {step.number for step in found}
    for step in found:
        if step.number != forget and (commands or step.form != "run"):
            _do(step, root)
    return root


def _do(step: Step, root: Path) -> None:
    if step.form == "run":
        done = run(root, *step.path.split())
        assert done.returncode == 0, f"{step.path}: {done.stdout}{done.stderr}"
        return
    file = root / step.path
    if step.form == "write":
        assert not file.exists(), f"{step.path} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step.block, encoding="utf-8")
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if step.form == "append":
        place, indent = len(lines), ""
    else:
        places = [index for index, line in enumerate(lines) if line.strip() == step.line]
        assert len(places) == 1, f"{step.path} has {step.line!r} {len(places)} times"
        place, found = places[0], lines[places[0]]
        indent = found[: len(found) - len(found.lstrip())]
        if step.form == "after":
            place += 1
            indent += "    " * (step.line[-1] in "([{:")
    lines[place:place] = textwrap.indent(step.block, indent).splitlines(keepends=True)
    file.write_text("".join(lines), encoding="utf-8")


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the copy, whose `cnncalc` is the one that Python finds.

    `run(root, "python", …)` is this Python; `scripts/…` are the copy's.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    given = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        command,
        cwd=root,
        env={**given, "PATH": path, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def diffstat(root: Path) -> dict[str, int]:
    """Lines added and removed in each file of the copy that differs from the tree's."""
    changed = {}
    for file in sorted(root.rglob("*")):
        original = ROOT / file.relative_to(root)
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        before = original.read_bytes() if original.exists() else b""
        if before != file.read_bytes():
            old, new = before.decode().splitlines(), file.read_text("utf-8").splitlines()
            lines = [*difflib.unified_diff(old, new, lineterm="", n=0)][2:]
            count = sum(line[0] in "+-" for line in lines)
            changed[str(file.relative_to(root))] = count
    return changed
