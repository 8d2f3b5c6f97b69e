"""CONTRIBUTING.md in steps that are carried out: what is common to all of its sections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support import steps
from support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = re.findall(
    r"^## (A new .*)$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize("section", SECTIONS)
def test_one_new_thing_is_two_files_and_a_test(section: str) -> None:
    """What a command writes, such as docs/layers.md, is no one's work."""
    found = steps.steps(section)
    assert [step.number for step in found] == list(range(1, len(found) + 1))
    files = {step.path for step in found if step.form != "run"}
    tests = {file for file in files if file.startswith("tests/")}
    pages = {file for file in files if file.endswith(".md")}
    assert 1 <= len(files - tests - pages) <= 2


PAGE = """\
## A new thing

1. Write `new/thing.txt`:

   ```text
   one
     two
   ```
2. In `LICENSE`, after `opens (`:

   ```text
   inside,
   ```
3. In `LICENSE`, before `)`: why it
   stands there is said here.

   ```text
   last,
   ```
4. At the end of `LICENSE`:

   ```text
   end
   ```
5. Run `python -c print(1)`.

## Another
"""


def test_steps_are_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in steps.COPIED:
        (tmp_path / name).mkdir()
    for name in steps.PAGES:
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "CONTRIBUTING.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "LICENSE").write_text("all\n  opens (\n    )\n", encoding="utf-8")
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    root = steps.carry_out("A new thing", tmp_path / "all")
    assert (root / "new/thing.txt").read_text(encoding="utf-8") == "one\n  two\n"
    licence = "all\n  opens (\n      inside,\n    last,\n    )\nend\n"
    assert (root / "LICENSE").read_text(encoding="utf-8") == licence
    assert steps.diffstat(root) == {"LICENSE": 3, "new/thing.txt": 2}
    assert steps.run(root, "python", "-c", "print(2)").stdout == "2\n"
    silent = steps.carry_out("A new thing", tmp_path / "silent", commands=False)
    assert steps.diffstat(silent) == steps.diffstat(root)
    without = steps.carry_out("A new thing", tmp_path / "without", forget=2)
    assert steps.diffstat(without) == {"LICENSE": 2, "new/thing.txt": 2}


@pytest.mark.parametrize(
    ("page", "section", "message"),
    [
        (PAGE, "Other", "CONTRIBUTING.md has no section 'Other'"),
        (PAGE.replace("Write", "Make"), "A new thing", "step 1, is in no form"),
    ],
)
def test_what_cannot_be_carried_out(
    page: str, section: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CONTRIBUTING.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=message):
        steps.steps(section)
