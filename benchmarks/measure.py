"""Runs commands in turn and reports the median of their wall time and peak memory."""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cnncalc


@dataclass(frozen=True)
class Result:
    """Medians over the runs of one command."""

    seconds: float
    megabytes: float
    output: str


def compile_package() -> None:
    """Writes cnncalc's bytecode, as installing it would: a checkout may have none."""
    compileall.compile_dir(Path(cnncalc.__file__).parent, quiet=1)


def interleaved(commands: dict[str, list[str]], runs: int = 5) -> dict[str, Result]:
    """Each command `runs` times after one warm-up, in turn, so that all see the same machine."""
    samples: dict[str, list[tuple[float, float, str]]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            sample = _run(command)
            if turn:
                samples[name].append(sample)
    return {
        name: Result(
            statistics.median(seconds for seconds, _, _ in taken),
            statistics.median(megabytes for _, megabytes, _ in taken),
            taken[-1][2],
        )
        for name, taken in samples.items()
    }


@dataclass(frozen=True)
class Row:
    """A figure and the bound that it is held to, if there is one."""

    name: str
    figure: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        low = self.at_least is None or self.figure >= self.at_least
        return low and (self.at_most is None or self.figure <= self.at_most)

    @property
    def bound(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:.3g}"
        return "" if self.at_least is None else f"at least {self.at_least:.3g}"


def report(rows: list[Row]) -> None:
    """Prints figures, bounds and verdicts; exits 1 if one does not hold."""
    lines = [["what", "figure", "bound", ""]]
    for row in rows:
        verdict = "" if not row.bound else "holds" if row.holds else "MISSED"
        lines.append([row.name, f"{row.figure:.3g}", row.bound, verdict])
    print(table(lines), flush=True)
    if not all(row.holds for row in rows):
        sys.exit(1)


def _run(command: list[str]) -> tuple[float, float, str]:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB on Linux
    return seconds, usage.ru_maxrss * scale / 1e6, output.decode()


def table(rows: list[list[str]]) -> str:
    """Rows of text in aligned columns; the first is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
