"""The command line: specs, options, files, pipes, terminals, help, completion, exit status."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from support import cnncalc_output
from typer.main import get_command

import cnncalc
from cnncalc.cli import app, main, output
from cnncalc.errors import OutputError

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("summarize", "list", "show", "schema")
SMALL = """\
name: Small
input: [3, 8, 8]
parameters: {width: 4, sizes: [3]}
variants:
  wide: {width: 16}
layers:
  - conv: {out_channels: =width, kernel_size: "=sizes[0]"}
"""


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child process, without what would change its output."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **changes}


def run(
    *arguments: str, cwd: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[bytes]:
    """`python -W error -m cnncalc …` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "cnncalc", *arguments],
        cwd=cwd,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def invoke(*arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of `main`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["cnncalc", *arguments])
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        finally:
            signal.signal(signal.SIGTERM, before)
    return status, out.getvalue(), err.getvalue()


def on_terminal(*arguments: str, columns: int = 80, **changes: str) -> str:
    """What a terminal of so many columns receives."""
    mine, its = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "cnncalc", *arguments],
        env=environment(COLUMNS=str(columns), **changes),
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    received = b""
    try:
        while part := os.read(mine, 65536):
            received += part
    except OSError:
        pass  # the other side has closed
    finally:
        os.close(mine)
    assert child.wait(timeout=60) == 0, received.decode(errors="replace")
    return received.decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def parameters(*arguments: str) -> int:
    status, out, err = invoke("summarize", *arguments, "--format", "json")
    assert (status, err) == (0, "")
    total: int = json.loads(out)["totals"]["parameters"]
    return total


# Specs


@pytest.mark.parametrize(
    ("spec", "total"),
    [
        ("lenet", 105_506),
        ("lenet.yaml", 105_506),
        ("resnet18", 11_689_512),
        ("resnet18.yaml", 11_689_512),
        ("small.yaml", 112),
        ("./small.yaml", 112),
    ],
)
def test_forms_of_a_spec(
    spec: str, total: int, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.parent)
    assert parameters(spec) == total


def test_absolute_path(small: Path) -> None:
    assert parameters(str(small)) == 112


@pytest.mark.parametrize("name", ["lenet", "lenet.yaml", "resnet18", "resnet18.yaml"])
def test_a_file_here_wins_over_a_bundled_network(
    name: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.rename(small.parent / name)
    monkeypatch.chdir(small.parent)
    assert parameters(name) == 112


def test_spec_from_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnncalc", "summarize", "-", "--format", "json"],
        env=environment(),
        input=SMALL.encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["totals"]["parameters"] == 112


@pytest.mark.parametrize(
    ("options", "total"),
    [
        (["--set", "width=5"], 140),
        (["--variant", "wide"], 448),
        (["--variant", "wide", "--set", "width=2"], 56),
        (["--set", "width=2", "--set", "sizes=[5]"], 152),
        (["--set", "sizes=[=width-3]"], 16),
        (["--input", "1x8x8"], 40),
        (["--input", "[1, 8, 8]"], 40),
    ],
)
def test_variations(options: list[str], total: int, small: Path) -> None:
    assert parameters(str(small), *options) == total


def test_batch_size_and_dtype() -> None:
    line = ["summarize", "lenet", "--format", "json", "--batch-size", "4", "--dtype", "float16"]
    data = json.loads(cnncalc_output(*line))
    assert (data["batch_size"], data["dtype"]) == (4, "float16")
    assert data["totals"]["multiply_adds"] == 4 * 1_333_200
    assert data["totals"]["weight_bytes"] == 2 * 105_506


def test_depth_keeps_the_totals() -> None:
    whole = json.loads(cnncalc_output("summarize", "resnet50", "--format", "json"))
    folded = json.loads(cnncalc_output("summarize", "resnet50", "--format", "json", "--depth", "1"))
    assert folded["totals"] == whole["totals"]
    assert [row["name"] for row in folded["layers"]][3:7] == [f"stage{n}" for n in range(1, 5)]


# Exit status and errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sumarize"], "No such command 'sumarize'"),
        (["summarize"], "Missing argument 'SPEC'"),
        (["summarize", "lenet", "--formula"], "No such option"),
        (["summarize", "lenet", "--depth", "one"], "Invalid value for '--depth'"),
        (["summarize", "lenet", "--depth", "0"], "the depth must be at least 1; received 0"),
        (["summarize", "lenet", "--format", "jsn"], "did you mean json?"),
        (["summarize", "lenet", "--columns", "params"], "unknown column 'params'"),
        (["summarize", "lenet", "--columns", ""], "no columns are named"),
        (["summarize", "lenet", "--dtype", "float3"], "unknown dtype 'float3'"),
        (["summarize", "lenet", "--batch-size", "0"], "the batch size must be"),
        (["summarize", "lenet", "--set", "classes"], "write --set classes=10"),
        (["summarize", "lenet", "--input", "big"], "write it as 3x256x256"),
        (["summarize", "lenet", "-o", "x.yaml"], "no format has the ending .yaml"),
        (["summarize", "resnet", "--variant", "resnet51"], "did you mean resnet"),
        (["summarize", "resnet", "--set", "clases=3"], "did you mean classes?"),
        (["summarize", "lenett"], "did you mean lenet"),
        (["show", "lenett"], "did you mean lenet"),
        (["show", "nothing_like_it"], "cnncalc list shows them"),
    ],
)
def test_bad_usage_is_one_message_and_status_2(arguments: list[str], message: str) -> None:
    status, out, err = invoke(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_spec_error_reads_like_a_compilers(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "input: [3, 8, 8]\nlayers:\n  - relu\n  - conv: {out_channels: 4, kernal_size: 3}\n"
    )
    done = run("summarize", "net.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "net.yaml:4:29: conv.kernal_size: unknown field; did you mean kernel_size?",
        "      - conv: {out_channels: 4, kernal_size: 3}",
        "                                ^",
    ]


def test_shape_error_shows_the_last_rows_above_the_message(tmp_path: Path) -> None:
    layers = "\n".join(["  - relu"] * 30)
    (tmp_path / "net.yaml").write_text(f"input: [3, 8, 8]\nlayers:\n{layers}\n  - max_pool: 9\n")
    done = run("summarize", "net.yaml", cwd=tmp_path)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert lines[0].split() == ["name", "layer", "output"]
    assert [line.split() for line in lines[2:22]] == [
        [f"relu{n}", "nn.ReLU()", "3×8×8"] for n in range(11, 31)
    ]
    assert lines[22] == ""
    assert lines[23].startswith("net.yaml:33:5: max_pool1: its window of 9×9 is larger")


# Files


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("t.txt", "LeNet ·"),
        ("t", "LeNet ·"),
        ("t.md", "**LeNet"),
        ("t.csv", "name,kind,"),
        ("t.json", "{"),
        ("t.tex", "% LeNet"),
        ("t.HTML", "<table"),
    ],
)
def test_ending_of_the_file_gives_the_format(name: str, start: str, tmp_path: Path) -> None:
    file = tmp_path / name
    assert cnncalc_output("summarize", "lenet", "-o", str(file)) == ""
    assert file.read_text(encoding="utf-8").startswith(start)


def test_format_option_wins_over_the_ending(tmp_path: Path) -> None:
    file = tmp_path / "table.dat"
    cnncalc_output("summarize", "lenet", "-f", "csv", "-o", str(file))
    assert file.read_text(encoding="utf-8") == cnncalc_output("summarize", "lenet", "-f", "csv")


def test_dash_is_standard_output() -> None:
    assert cnncalc_output("summarize", "lenet", "-o", "-") == cnncalc_output("summarize", "lenet")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o755])
def test_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "t.md"
    file.write_text("old")
    file.chmod(mode)
    cnncalc_output("summarize", "lenet", "-o", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert [*tmp_path.iterdir()] == [file]


def test_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    cnncalc_output("summarize", "lenet", "-o", str(tmp_path / "t.md"))
    assert (tmp_path / "t.md").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target.md"
    target.write_text("old")
    link = tmp_path / "link.md"
    link.symlink_to(target)
    cnncalc_output("summarize", "lenet", "-o", str(link))
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("**LeNet")


def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "t.md"
    file.write_text("old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"t\.md: cannot be written: No space left on device"):
        output.write("new", file)
    assert file.read_text() == "old"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    ("target", "reason"),
    [("missing/t.md", "No such file"), (".", "Is a directory"), ("x.md/t.md", "Not a")],
)
def test_file_that_cannot_be_written(target: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.md").touch()
    status, _, err = invoke("summarize", "lenet", "-o", str(tmp_path / target), "-f", "markdown")
    assert status == 1
    assert re.search(reason, err)
    assert err.count("\n") == 1


def test_bad_spec_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "t.md"
    file.write_text("old")
    assert invoke("summarize", "lenett", "-o", str(file))[0] == 2
    assert file.read_text() == "old"


def test_named_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert run("summarize", "lenet", "-o", str(pipe)).returncode == 0
    reader.join(timeout=10)
    assert received[0].startswith("LeNet")
    assert pipe.is_fifo()


# Pipes, encodings, terminals


@pytest.mark.parametrize("command", ["summarize resnet152", "schema", "show resnet152", "list"])
def test_closed_pipe_ends_quietly(command: str) -> None:
    shell = (
        f"{shlex.quote(sys.executable)} -m cnncalc {command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", shell], env=environment(), capture_output=True, check=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")


def test_pipe_that_is_closed_before_anything_is_written() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "cnncalc", "summarize", "lenet"],
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_device_is_an_error_of_one_line() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "cnncalc", "summarize", "lenet"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"standard output: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_give_no_traceback(closed: str) -> None:
    for command, status in (("list", 1 if closed.startswith(">") else 0), ("show nothing", 2)):
        shell = f"{shlex.quote(sys.executable)} -m cnncalc {command} {closed}"
        done = subprocess.run(
            ["bash", "-c", shell], env=environment(), capture_output=True, check=False
        )
        assert done.returncode == status
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "POSIX"},
    ],
    ids=lambda changes: ",".join(f"{key}={value}" for key, value in changes.items()),
)
def test_redirected_output_is_utf_8_in_any_locale(changes: dict[str, str]) -> None:
    for form in ("table", "json"):
        done = run("summarize", "lenet", "--format", form, **changes)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode("utf-8") == cnncalc_output("summarize", "lenet", "-f", form)


def test_terminal_without_unicode_gets_plain_characters() -> None:
    text = on_terminal(
        "summarize", "lenet", "--columns", "lecture", columns=120, PYTHONIOENCODING="ascii"
    )
    assert text.isascii()
    assert "?" not in text
    assert "64x4x4    64*(5^2*32 + 1) = 51,264  64*4^2*5^2*32 = 819,200" in text
    floors = on_terminal("summarize", "lenet", "--formulas", columns=220, PYTHONIOENCODING="ascii")
    assert "32 x (floor[(28 + 2*0 - 5)/1] + 1) x (floor[(28 + 2*0 - 5)/1] + 1) = 32x24x24" in floors


def test_errors_survive_a_locale_without_unicode(tmp_path: Path) -> None:
    (tmp_path / "größe.yaml").write_text("input: [3, 8, 8]\nlayers: [größe]\n", encoding="utf-8")
    done = run("summarize", "größe.yaml", cwd=tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8")
    assert done.returncode == 2
    assert "unknown layer 'größe'" in done.stderr.decode("utf-8")


def test_terminal_gets_bold_and_dim_and_a_pipe_does_not() -> None:
    assert "\x1b[1m" in on_terminal("summarize", "lenet")
    assert "\x1b" not in cnncalc_output("summarize", "lenet")


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_that_wants_no_colours(changes: dict[str, str]) -> None:
    text = on_terminal("summarize", "lenet", **changes)
    assert "\x1b" not in text
    assert "51,264" in text


def test_file_written_from_a_terminal_is_as_from_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    assert on_terminal("summarize", "lenet", "-o", str(file), columns=40) == ""
    assert file.read_text(encoding="utf-8") == cnncalc_output("summarize", "lenet")


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "latex", "html"])
def test_other_formats_are_the_same_on_a_terminal(form: str) -> None:
    text = on_terminal("summarize", "lenet", "--format", form, columns=40)
    assert text == cnncalc_output("summarize", "lenet", "--format", form)


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_list_fits_the_terminal(columns: int) -> None:
    text = on_terminal("list", columns=columns)
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:4] == ["name", "input", "parameters", "multiply-adds"]
    assert re.search(r"^resnet152 +3×224×224 +60,192,808 +11,513,626,624", text, re.MULTILINE)
    assert ("source" in lines[0]) == (columns > 80)


def test_list_names_every_network_with_its_source() -> None:
    lines = cnncalc_output("list").splitlines()
    names = [line.split()[0] for line in lines[2:]]
    assert names == sorted(set(names), key=names.index)
    assert {"lenet", "alexnet", "vgg16", "googlenet", "resnet18", "resnet152"} <= {*names}
    assert "resnet" not in names
    for name in names:
        network = cnncalc.load(name)
        line = lines[2 + names.index(name)]
        assert line.endswith(network.source)
        assert f"{cnncalc.analyze(network).totals.parameters:,}" in line


def test_show_prints_the_file_as_it_is() -> None:
    text = (ROOT / "architectures/resnet.yaml").read_text(encoding="utf-8")
    for name in ("resnet", "resnet.yaml", "resnet152"):
        assert cnncalc_output("show", name) == text


# Signals


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_signals_end_quietly_with_their_status(number: signal.Signals, status: int) -> None:
    script = """
import sys
from cnncalc.cli import main
class Ready:
    def __getattr__(self, name):
        sys.stderr.write("ready\\n"); sys.stderr.flush()
        return getattr(stdin, name)
stdin, sys.stdin = sys.stdin, Ready()
sys.argv = ["cnncalc", "summarize", "-"]
main()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    assert child.stderr.readline() == b"ready\n"
    time.sleep(0.2)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (status, b"")
    assert err.replace(b"ready\n", b"") == b""


# Help, version, completion


def test_version() -> None:
    assert cnncalc_output("--version") == f"cnncalc {cnncalc.__version__}\n"


def test_python_m_is_the_same_as_the_script() -> None:
    script = Path(sys.executable).with_name("cnncalc")
    if not script.exists():
        pytest.skip("the script is not installed beside this Python")
    for line in (["summarize", "lenet"], ["--version"], ["show", "nothing"]):
        done = subprocess.run([script, *line], env=environment(), capture_output=True, check=False)
        other = run(*line)
        assert (done.returncode, done.stdout, done.stderr) == (
            other.returncode,
            other.stdout,
            other.stderr,
        )


def commands() -> dict[str, Any]:
    group: Any = get_command(app)
    return dict(group.commands)


def test_commands_are_these() -> None:
    assert tuple(commands()) == COMMANDS


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


def examples() -> list[tuple[str, str]]:
    found = []
    for command in ("", *COMMANDS):
        text = cnncalc_output(*command.split(), "--help")
        lines = re.findall(r"^ +(?:Example: )?(cnncalc .*)$", text, re.MULTILINE)
        found += [(command, line) for line in lines]
    return found


def test_every_command_has_an_example() -> None:
    assert {command for command, _ in examples()} == {"", *COMMANDS}


@pytest.mark.parametrize("line", [line for _, line in examples()])
def test_examples_run(line: str, tmp_path: Path) -> None:
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
