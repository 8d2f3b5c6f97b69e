"""The folder of a run: what it was, how it went, and where it may go on."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc import __version__
from cnncalc.atomic_files import draft_of
from cnncalc.errors import OutputError, UsageError
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNS = Path("runs")
METRICS = "metrics.csv"
COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "lr",
    "seconds",
    "images_per_second",
)
"""Of metrics.csv and metrics.jsonl. Accuracies are fractions; epochs and steps count from 1."""
Row = dict[str, float | None]
"""The figures of a row; None where there is no such split."""


class RunFolder:
    """Files of one run: run.json, environment.json, metrics.csv and .jsonl, checkpoints/."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @classmethod
    def new(cls, name: str, path: Path | None = None) -> RunFolder:
        """A folder for a new run: `path`, or runs/<name>-<time>.

        Raises:
            UsageError: a run is there already.
            OutputError: it cannot be made.
        """
        try:
            if path is None:
                path = _taken(RUNS / f"{_plain(name)}-{time.strftime('%Y%m%d-%H%M%S')}")
            if (path / METRICS).exists():
                raise UsageError(f"{path}: a run is there already; --resume {path} goes on with it")
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path or RUNS}: cannot be made: {error.strerror}") from None
        return cls(path)

    @staticmethod
    def of_name(name: str) -> list[Path]:
        """The folders of runs of that name, where `new` puts them."""
        return [*RUNS.glob(f"{_plain(name)}-*")]

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

    def read_json(self, name: str) -> dict[str, Any]:
        """Raises `UsageError` if this is no run."""
        try:
            known: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except OSError:
            raise UsageError(_no_run(self.path, name)) from None
        except ValueError:
            raise UsageError(f"{self.path}: {name} is damaged") from None
        return known

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def add(self, figures: Mapping[str, Any]) -> None:
        """Adds a row to the metrics. Raises `OutputError`."""
        row = {name: figures.get(name) for name in COLUMNS}
        self._append(METRICS, _row([_text(value) for value in row.values()]))
        self._append("metrics.jsonl", json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, str]]:
        """The rows of metrics.csv, as text; one that is still being written is left out.

        Raises:
            UsageError: they cannot be read.
        """
        try:
            text = (self.path / METRICS).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise UsageError(_no_run(self.path, METRICS)) from None
        whole = (line for line in text.splitlines(keepends=True) if line.endswith("\n"))
        try:
            return list(csv.DictReader(whole))
        except csv.Error:
            raise UsageError(f"{self.path}: {METRICS} is damaged") from None

    def has_rows(self) -> bool:
        """Whether an epoch was ever evaluated."""
        return (self.path / METRICS).exists() and bool(self.rows())

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


def _no_run(path: Path, missing: str) -> str:
    """What is said of a path where `missing` is not; which run is near, if one is."""
    below = sorted((*path.glob("*/run.json"), *path.glob("runs/*/run.json")))
    found = [near.parent for near in below] or [
        p for p in path.parents if (p / "run.json").exists()
    ]
    meant = f"; did you mean {found[-1]}?" if found and not (path / "run.json").exists() else ""
    return f"{path}: is no folder of a run ({missing} is missing){meant}"


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:60]


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
