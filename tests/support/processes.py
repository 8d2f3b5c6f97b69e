"""Runs the command line: in this process, in one of its own, on a terminal."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from cnncalc.cli import main
from support.imitated import sitecustomize
from support.places import ROOT

SMALL = """\
name: Small
input: [3, 8, 8]
parameters: {width: 4, sizes: [3]}
variants:
  wide: {width: 16}
layers:
  - conv: {out_channels: =width, kernel_size: "=sizes[0]"}
"""


def search_path(*folders: Path) -> str:
    """PYTHONPATH of a child process that answers as this one does (`pytest --bfloat16`)."""
    imitated = [Path(sitecustomize.__file__).parent] if sitecustomize.VARIABLE in os.environ else []
    return os.pathsep.join(map(str, [ROOT, *imitated, *folders]))


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child process, without what would change its output."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return {**kept, "TERM": "xterm-256color", "PYTHONPATH": search_path(), **changes}


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
    assert child.wait(timeout=300) == 0, received.decode(errors="replace")
    return received.decode("utf-8", "replace").replace("\r\n", "\n")
