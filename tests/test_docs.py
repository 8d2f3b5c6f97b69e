"""The docs hold what the code does: outputs, layers, commands, the contributor's example."""

from __future__ import annotations

import csv
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.places import ROOT
from support.processes import invoke

from cnncalc.cli.commands import FUNCTIONS
from cnncalc.render.columns import COLUMNS


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


generate = _generator()


@pytest.mark.parametrize("name", generate.WITH_COMMANDS)
def test_commands_print_what_the_page_shows(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert generate.with_outputs(text) == text


def test_a_stale_output_would_be_noticed() -> None:
    page = "```console\n$ cnncalc --version\ncnncalc 0.0\n```\n"
    assert generate.with_outputs(page) != page


def test_layers_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    assert page == generate.layers_page(), (
        "docs/layers.md is not what the code says: run scripts/docs"
    )


def test_data_page_is_up_to_date() -> None:
    pytest.importorskip("torch", reason="data sets need PyTorch")
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert page == generate.data_page(), "docs/data.md is not what the code says: run scripts/docs"


def test_recipe_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert page == generate.recipe_page(), (
        "docs/recipes.md is not what the code says: run scripts/docs"
    )


def words(page: str) -> list[str]:
    """Without what versions of typer set otherwise: lines, types, brackets of arguments."""
    return re.sub(r"<[^>]+>|[][{}]|\.\.\.", "", page).split()


def test_cli_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert words(page) == words(generate.cli_page())


@pytest.mark.parametrize("name", generate.FACTS)
def test_what_a_page_says_in_passing_is_so(name: str) -> None:
    """The number of networks, the formats."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for line, wanted in zip(
        text.splitlines(), generate.with_facts(name, text).splitlines(), strict=True
    ):
        assert line == wanted, f"{name}: {line!r} ought to be {wanted!r}; run scripts/docs"


def test_the_page_of_commands_has_each_command_and_column() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in FUNCTIONS:
        assert f"## cnncalc {name}\n" in page, f"{name}: docs/cli.md lacks it; run scripts/docs"
    for column in COLUMNS:
        listed = f"| `{column.name}` |" in page
        assert listed, f"{column.name}: docs/cli.md lacks it; run scripts/docs"


def test_a_fact_that_is_said_nowhere_is_missed() -> None:
    with pytest.raises(ValueError, match=r"README\.md says nowhere \'the "):
        generate.with_facts("README.md", "the many bundled networks")


def test_readme_begins_with_two_commands_and_ci_runs_the_second() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert commands[0].endswith("cnncalc summarize lenet.yaml")
    assert commands[1].endswith("&& scripts/check && scripts/test")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    reads = re.search(r'^run "\$\((awk .* README\.md)\)"$', ci, re.MULTILINE)
    assert reads is not None
    done = subprocess.run(["bash", "-c", reads[1]], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [commands[1]]


def test_every_line_of_ci_is_run_and_a_failure_is_its_status(tmp_path: Path) -> None:
    """The script itself, on programs that say what they are called with."""
    for folder in (".ci", ".venv/bin", "scripts"):
        (tmp_path / folder).mkdir(parents=True)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    count = len(re.findall("^run ", ci, re.MULTILINE))
    stubs = [tmp_path / name for name in re.findall(r"scripts/[\w-]+", ci)]
    stubs.append(tmp_path / ".venv" / "bin" / "pytest")
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    readme = "```sh\nfirst\n```\n```sh\n.venv/bin/pytest all\n```\n"
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    for wrong, failures in (("none", 0), ("-m exhaustive ", 1), ("--bfloat16", 1), ("", count)):
        lines = ["#!/bin/sh", 'echo "called: $*"', f'case "$* " in *"{wrong}"*) exit 1;; esac']
        for stub in stubs:
            stub.write_text("\n".join(lines), encoding="utf-8")
            stub.chmod(0o755)
        script = ["bash", str(tmp_path / ".ci" / "run")]
        done = subprocess.run(script, capture_output=True, check=False, text=True)
        called = re.findall("^called: (.*)$", done.stdout, re.MULTILINE)
        assert called[0] == "all"
        assert called[1].endswith("-m exhaustive")
        assert "--bfloat16=yes -m training and not" in called[2]
        assert done.stderr.count("by the clock") == len(called) == count
        assert (done.stderr.count("FAILED"), done.returncode) == (failures, int(failures > 0))


def test_proofs_are_listed_and_those_that_are_not_there_refused() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "proofs")]
    done = subprocess.run(script, capture_output=True, check=True, text=True)
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert "fuzz" in names
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())
    done = subprocess.run([*script, "nothing"], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"nothing: no proof has this name; there are {', '.join(names)}\n"
    source = (ROOT / "scripts" / "proofs").read_text(encoding="utf-8")
    files = re.findall(r'"((?:tests|scripts|benchmarks)/[\w/]+\.py)', source)
    assert len(files) >= len(names)
    assert all((ROOT / file).is_file() for file in files)


def test_training_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 96% of the test images are right, and the curve is drawn."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh-session\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    for line in block[1].splitlines():
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert program == "cnncalc"
        status, _, errors = invoke(*arguments)
        assert status == 0, errors
    metrics = (tmp_path / "runs" / "lenet" / "metrics.csv").read_text(encoding="utf-8")
    rows = [*csv.DictReader(metrics.splitlines())]
    assert len(rows) == 15
    assert float(rows[-1]["test_accuracy"]) > 0.96
    assert (tmp_path / "digits.svg").stat().st_size > 10_000


def test_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    pytest.importorskip("torch", reason="PyTorch is not installed")
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["summary"].totals.parameters == 105_506
    assert names["large"].title == "resnet152"
    assert type(names["model"]).__name__ == "LeNet"
    assert "105,506" in capsys.readouterr().out


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_curves_of_the_lectures_page_are_those_of_the_runs() -> None:
    """Test errors after each epoch; those of the lab are its notebook's."""
    page = (ROOT / "docs" / "lectures.md").read_text(encoding="utf-8")
    table = re.findall(
        r"^\| (\d) \| ([\d.]+)% \| ([\d.]*)%? ?\| ([\d.]*)%? ?\|$", page, re.MULTILINE
    )
    assert [row[1] for row in table] == ["90.1", "84.2", "69.4", "61.0", "49.5"]
    for column, name in ((2, "vgg_float32"), (3, "vgg_bfloat16")):
        with (ROOT / "docs" / "runs" / f"{name}.csv").open(encoding="utf-8") as file:
            accuracies = [Decimal(row["test_accuracy"]) for row in csv.DictReader(file)]
        tenth = Decimal("0.1")
        errors = [str((100 - 100 * each).quantize(tenth, ROUND_HALF_UP)) for each in accuracies]
        assert [row[column] for row in table if row[column]] == errors
