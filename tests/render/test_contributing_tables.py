"""CONTRIBUTING.md's steps for a column, figure, format, network and command, carried out.

Each is used from the command line; a test names what was forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.steps import carry_out, diffstat, run, steps

if TYPE_CHECKING:
    from pathlib import Path

USED = {
    "A new column": ("summarize lenet --columns name,uses", " 553.8\n"),
    "A new figure": ("summarize lenet --columns name,outputs", " 24,730\n"),
    "A new format": ("summarize lenet -f toml --columns parameters", "parameters = 51264\n"),
    "A new network": ("summarize lenet_300_100", "266,610 parameters"),
    "A new command": ("kinds", "\nlog_softmax\n"),
}
FIGURES = "tests/analysis/test_figures.py"
FORMATS = "tests/render/test_formats.py"
HELP = "tests/cli/test_cli_help.py"
PAGE = "tests/test_docs.py::test_the_page_of_commands_has_each_command_and_column"
README = "tests/test_docs.py::test_what_a_page_says_in_passing_is_so"
FORGOTTEN = [
    ("A new column", 3, PAGE, "uses: docs/cli.md lacks it; run scripts/docs"),
    (
        "A new figure",
        3,
        "tests/analysis/test_figures.py::test_what_is_counted_is_explained",
        "outputs: no row of docs/conventions.md says what it counts",
    ),
    (
        "A new figure",
        6,
        "tests/test_public_names.py",
        "cnncalc:LayerSummary.outputs is new; cnncalc:Totals.outputs is new",
    ),
    ("A new format", 1, FORMATS, "toml: there is no cnncalc/render/toml.py"),
    ("A new format", 2, FORMATS, "toml: FORMATS in cnncalc/render/__init__.py lacks it"),
    ("A new format", 4, README, "csv, json, latex, toml or html)"),
    (
        "A new network",
        3,
        "tests/architectures/test_bundled.py::test_golden",
        "lenet_300_100: no golden; run scripts/goldens",
    ),
    ("A new network", 4, README, "the 100 bundled networks"),
    (
        "A new command",
        2,
        f"{HELP}::test_every_module_of_a_command_has_a_row",
        "kinds: FUNCTIONS in cnncalc/cli/commands.py lacks it",
    ),
    (
        "A new command",
        3,
        f"{HELP}::test_commands_are_these",
        "kinds: COMMANDS of tests/cli/test_cli_help.py lacks it",
    ),
    ("A new command", 5, PAGE, "kinds: docs/cli.md lacks it; run scripts/docs"),
]
COMPLETE = "not readme and not of_ci and not proofs and not links"
"""Without what reads files that the copy lacks, and what trains."""
QUICK = {("A new column", 3)}


def pytest_in(root: Path, *arguments: str) -> tuple[int, str]:
    done = run(root, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("section", USED)
def test_the_new_thing_is_used_as_any_other(section: str, tmp_path: Path) -> None:
    root = carry_out(section, tmp_path, commands=False)
    line, shown = USED[section]
    done = run(root, "python", "-m", "cnncalc", *line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


def forgotten() -> list[Any]:
    return [
        pytest.param(
            *case,
            id=f"{case[0]}, {case[1]}",
            marks=() if case[:2] in QUICK else pytest.mark.exhaustive,
        )
        for case in FORGOTTEN
    ]


@pytest.mark.parametrize(("section", "step", "test", "message"), forgotten())
def test_a_step_that_is_forgotten_is_named(
    section: str, step: int, test: str, message: str, tmp_path: Path
) -> None:
    if "public_names" in test:
        pytest.importorskip("torch", reason="some public names need PyTorch")
    root = carry_out(section, tmp_path, forget=step, commands=False)
    status, said = pytest_in(root, test, *(["-k", "lenet_300"] if "golden" in test else []))
    assert status == 1
    assert message in said


@pytest.mark.exhaustive
@pytest.mark.parametrize("section", USED)
def test_with_every_step_done_the_tests_pass(section: str, tmp_path: Path) -> None:
    root = carry_out(section, tmp_path)
    changed = diffstat(root)
    assert {step.path for step in steps(section) if step.form != "run"} <= {*changed}
    files = ["tests/test_docs.py", "tests/test_public_names.py", HELP, FORMATS, FIGURES]
    files += [file for file in changed if file.startswith("tests/") and file.endswith(".py")]
    status, said = pytest_in(root, *dict.fromkeys(files), "-k", COMPLETE)
    assert status == 0, said
