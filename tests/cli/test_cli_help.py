"""Help, version and shell completion: every option explained, every example runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import by_tier, cnncalc_output
from support.processes import SMALL, environment, invoke, run
from typer.main import get_command

import cnncalc
from cnncalc import cli
from cnncalc.cli import app
from cnncalc.cli.commands import FUNCTIONS

COMMANDS = (
    "summarize", "train", "evaluate", "predict", "runs", "plot", "list", "show", "verify", "export",
    "import", "schema",
)  # fmt: skip
WITH_RUNS = ("evaluate", "predict", "runs", "plot")
TOO_LONG = ("train",)
"""They take data, a GPU or minutes; their own tests run them on less."""
LONG = (
    "cnncalc export lenet.yaml lenet.onnx",
    "cnncalc import torchvision:resnet50",
    "cnncalc list",
    "cnncalc verify resnet152",
)
"""They are left to the exhaustive tier; their own tests run the like on less."""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def test_version() -> None:
    assert cnncalc_output("--version") == f"cnncalc {cnncalc.__version__}\n"


@pytest.mark.parametrize(
    "line", by_tier(["summarize lenet", "--version", "show nothing"], "show nothing")
)
def test_python_m_is_the_same_as_the_script(line: str) -> None:
    script = Path(sys.executable).with_name("cnncalc")
    if not script.exists():
        pytest.skip("the script is not installed beside this Python")
    command = line.split()
    done = subprocess.run([script, *command], env=environment(), capture_output=True, check=False)
    other = run(*command)
    assert (done.returncode, done.stdout, done.stderr) == (
        other.returncode,
        other.stdout,
        other.stderr,
    )


def commands() -> dict[str, Any]:
    group: Any = get_command(app)
    return dict(group.commands)


def test_commands_are_these() -> None:
    new = [name for name in commands() if name not in COMMANDS]
    assert not new, f"{new[0]}: COMMANDS of tests/cli/test_cli_help.py lacks it"
    assert tuple(commands()) == COMMANDS


def test_every_module_of_a_command_has_a_row() -> None:
    """They begin with the command's line."""
    for file in sorted(Path(cli.__file__).parent.glob("*.py")):
        for name in re.findall(r"`cnncalc ([\w-]+)`", file.read_text("utf-8").partition("\n")[0]):
            assert name in FUNCTIONS, f"{name}: FUNCTIONS in cnncalc/cli/commands.py lacks it"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(command: str, flag: str) -> None:
    text = cnncalc_output(*command.split(), flag)
    assert text.startswith("Usage: ")
    assert max(map(len, text.splitlines())) <= 80
    assert "Example" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command: str) -> None:
    for parameter in commands()[command].params:
        help_text = getattr(parameter, "help", None)
        assert help_text, f"{command} {parameter.name}"
        assert help_text.rstrip().endswith(".")


def test_options_of_summarize_are_these() -> None:
    options = [name for parameter in commands()["summarize"].params for name in parameter.opts]
    assert options == [
        "spec", "--format", "-f", "--columns", "--formulas", "--depth", "--input", "--variant",
        "--set", "--batch-size", "--dtype", "--output", "-o",
    ]  # fmt: skip


def test_options_of_export_are_these() -> None:
    options = [name for parameter in commands()["export"].params for name in parameter.opts]
    assert options == ["spec", "file", "--weights", "--opset", "--input", "--variant", "--set"]


def test_options_of_import_are_these() -> None:
    options = [name for parameter in commands()["import"].params for name in parameter.opts]
    assert options == ["source", "--output", "-o", "--input-shape", "--call", "--blocks"]


def examples() -> list[tuple[str, str]]:
    found = []
    for command in ("", *FUNCTIONS):
        text = cnncalc_output(*command.split(), "--help")
        lines = re.findall(r"^ +(?:Example: )?(cnncalc .*)$", text, re.MULTILINE)
        found += [(command, line) for line in lines]
    return found


def test_every_command_has_an_example() -> None:
    for command in {"", *COMMANDS} - {command for command, _ in examples()}:
        pytest.fail(f"{command}: its help shows no example")


def examples_to_run() -> list[Any]:
    return [
        pytest.param(command, line, marks=[pytest.mark.exhaustive] * line.startswith(LONG))
        for command, line in examples()
        if command not in TOO_LONG
    ]


@pytest.mark.parametrize(("command", "line"), examples_to_run())
def test_examples_run(
    command: str,
    line: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if command in WITH_RUNS:
        put_runs(request.getfixturevalue("tiny_run"), tmp_path)
    if command == "plot":
        pytest.importorskip("matplotlib", reason="what draws is not installed")
    if command == "import":
        pytest.importorskip("torchvision", reason="what it imports from is not installed")
    if command == "verify":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    if line.startswith("cnncalc export"):
        pytest.importorskip("onnxscript", reason="what exports is not installed")
        pytest.importorskip("torch", reason="PyTorch is not installed")
    program, *arguments = shlex.split(line)
    if program == "cnncalc" and not {"|", ">", "<"} & {*arguments}:
        monkeypatch.chdir(tmp_path)
        status, output, errors = invoke(*arguments)
        assert (status, errors) == (0, "")
        assert output or [*tmp_path.iterdir()]
        return
    python = f"{shlex.quote(sys.executable)} -m cnncalc"
    done = subprocess.run(
        ["bash", "-c", line.replace("cnncalc", python, 1)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout or [*tmp_path.iterdir()]


def put_runs(run: Path, folder: Path) -> None:
    """What the examples speak of."""
    for name in ("lenet", "wide"):
        shutil.copytree(run, folder / "runs" / name)
    image = pytest.importorskip("PIL.Image").linear_gradient("L")
    image.save(folder / "seven.png")


def completions(line: str, cwd: Path | None = None) -> list[str]:
    """What bash is offered for the last word of a line."""
    done = run_completion(line, cwd)
    return done.stdout.decode().split()


def run_completion(line: str, cwd: Path | None) -> subprocess.CompletedProcess[bytes]:
    script = "import sys; sys.argv[0] = 'cnncalc'; from cnncalc.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd,
        env=environment(
            _CNNCALC_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(len(line.split(" ")) - 1),
        ),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cnncalc summarize resn", {"resnet", "resnet18", "resnet50", "resnet152"}),
        ("cnncalc show resnet1", {"resnet18", "resnet101", "resnet152"}),
        ("cnncalc summarize sm", {"small.yaml"}),
        ("cnncalc summarize lenet --format m", {"markdown"}),
        ("cnncalc summarize lenet --columns le", {"lecture"}),
        ("cnncalc summarize lenet --columns name,mul", {"name,multiply_adds"}),
        ("cnncalc summarize lenet --dtype float1", {"float16"}),
        ("cnncalc su", {"summarize"}),
        ("cnncalc summarize lenet --for", {"--format", "--formulas"}),
    ],
)
def test_completion(line: str, offered: set[str], small: Path) -> None:
    assert offered <= {*completions(line, cwd=small.parent)}


def test_completion_of_what_is_unknown_offers_nothing() -> None:
    assert completions("cnncalc summarize no_such") == []


def test_completion_can_be_installed() -> None:
    text = cnncalc_output("--help")
    assert "--install-completion" in text
    assert "--show-completion" in text
