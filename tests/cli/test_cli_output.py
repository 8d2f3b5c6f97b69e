"""Where output goes: files, pipes, terminals, in any locale; and what signals do to it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import by_tier, cnncalc_output
from support.places import ROOT
from support.processes import environment, invoke, on_terminal, run

from cnncalc.cli import output
from cnncalc.errors import OutputError

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
    reader.join(timeout=300)
    assert received[0].startswith("LeNet")
    assert pipe.is_fifo()


# Pipes, encodings, terminals


@pytest.mark.parametrize(
    "command",
    by_tier(["summarize resnet152", "schema", "show resnet152", "list vgg"], "summarize resnet152"),
)
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


@pytest.mark.parametrize("closed", by_tier([">&-", "2>&-", ">&- 2>&-"], ">&- 2>&-"))
def test_closed_streams_give_no_traceback(closed: str) -> None:
    for command, status in (("list vgg", 1 if closed.startswith(">") else 0), ("show nothing", 2)):
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
@pytest.mark.parametrize("form", by_tier(["table", "json"], "table"))
def test_redirected_output_is_utf_8_in_any_locale(form: str, changes: dict[str, str]) -> None:
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


@pytest.mark.parametrize("form", by_tier(["markdown", "csv", "json", "latex", "html"], "json"))
def test_other_formats_are_the_same_on_a_terminal(form: str) -> None:
    text = on_terminal("summarize", "lenet", "--format", form, columns=40)
    assert text == cnncalc_output("summarize", "lenet", "--format", form)


@pytest.mark.parametrize("columns", by_tier([60, 80, 110, 200], "60"))
def test_list_fits_the_terminal(columns: int) -> None:
    text = on_terminal("list", "resnet", columns=columns)
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:4] == ["name", "input", "parameters", "multiply-adds"]
    assert re.search(r"^ +resnet152 +3×224×224 +60,192,808 +11,513,626,624", text, re.MULTILINE)
    assert ("receptive field" in lines[0]) == (columns > 80)
    assert ("source" in lines[0]) == (columns > 80)


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
import signal, sys
from cnncalc.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore it
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
    out, err = child.communicate(timeout=300)
    assert (child.returncode, out) == (status, b"")
    assert err.replace(b"ready\n", b"") == b""
