"""The folder of a run as it is written, and where it may go on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from cnncalc import __version__
from cnncalc.atomic_files import draft_of
from cnncalc.errors import OutputError, UsageError
from cnncalc.runs.folder import COLUMNS, METRICS, RUNS, RunFolder, plain
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class RunWriter(RunFolder):
    """The same, written as the run goes on."""

    @classmethod
    def new(cls, name: str, path: Path | None = None) -> RunWriter:
        """A folder for a new run: `path`, or runs/<name>-<time>.

        Raises:
            UsageError: a run is there already.
            OutputError: it cannot be made.
        """
        try:
            if path is None:
                path = _taken(RUNS / f"{plain(name)}-{time.strftime('%Y%m%d-%H%M%S')}")
            if (path / METRICS).exists():
                raise UsageError(f"{path}: a run is there already; --resume {path} goes on with it")
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path or RUNS}: cannot be made: {error.strerror}") from None
        return cls(path)

    def describe(self, run: Mapping[str, Any], device: str) -> None:
        """Writes what is run, and on what. Raises `OutputError`."""
        self.write_json("run.json", run)
        self.write_json("environment.json", environment(device))
        self._write(METRICS, _row(COLUMNS))
        self._write("metrics.jsonl", "")

    def go_on(self, run: Mapping[str, Any], step: int) -> None:
        """Makes a run ready to go on from `step`, as `run` says now. Raises `OutputError`."""
        summary = self.path / "summary.json"
        try:
            summary.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{summary}: cannot be removed: {error.strerror}") from None
        self.write_json("run.json", run)
        number = 2 + len([*self.path.glob("environment-*.json")])
        self.write_json(f"environment-{number}.json", environment(str(run["device"])))
        self.keep_until(step)

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def add(self, figures: Mapping[str, Any]) -> None:
        """Adds a row to the metrics. Raises `OutputError`."""
        row = {name: figures.get(name) for name in COLUMNS}
        self._append(METRICS, _row([_text(value) for value in row.values()]))
        self._append("metrics.jsonl", json.dumps(row) + "\n")

    def keep_until(self, step: int) -> None:
        """Drops rows later than `step`: they are computed again. Those before stay as they are."""
        for name, head in ((METRICS, [_row(COLUMNS)]), ("metrics.jsonl", [])):
            try:
                text = (self.path / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            lines = text.splitlines(keepends=True)
            kept = head + [line for line in lines if 0 < _step_of(line) <= step]
            if kept != lines:
                self._write(name, "".join(kept))

    def _write(self, name: str, text: str) -> None:
        # Names of files may hold bytes that are no text: JSON escapes them, and gives them back.
        with draft_of(self.path / name) as draft:
            draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    def _append(self, name: str, text: str) -> None:
        try:
            with (self.path / name).open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self.path / name}: {error.strerror}") from None


def environment(device: str) -> dict[str, Any]:
    """Versions, device and commit: what a run depends on beside its spec."""
    import torch

    found = {
        "cnncalc": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }
    if device.startswith("cuda"):
        found["device_name"] = torch.cuda.get_device_name(device)
    commit = _commit()
    return found | here().about() | ({"git_commit": commit} if commit else {})


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def _step_of(line: str) -> int:
    """The step of a line of the metrics; 0 of a head, and of one that was not written whole."""
    if not line.endswith("\n"):
        return 0
    try:
        return int(json.loads(line)["step"] if line.startswith("{") else line.split(",")[1])
    except (ValueError, KeyError, IndexError, TypeError):
        return 0


def _row(values: Any) -> str:
    return ",".join(values) + "\n"


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _taken(path: Path) -> Path:
    """Makes the folder; with a number behind its name if another run was there first."""
    number, free = 2, path
    while True:
        try:
            free.mkdir(parents=True)
        except FileExistsError:
            if not free.exists():
                raise
            free, number = path.with_name(f"{path.name}-{number}"), number + 1
        else:
            return free
