"""The folder of a run, as plain data: what it was, and how it went."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

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

    @staticmethod
    def of_name(name: str) -> list[Path]:
        """The folders of runs of that name, where `new` puts them."""
        return [*RUNS.glob(f"{plain(name)}-*")]

    def read_json(self, name: str) -> dict[str, Any]:
        """Raises `UsageError` if this is no run."""
        try:
            known: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except OSError:
            raise UsageError(_no_run(self.path, name)) from None
        except ValueError:
            raise UsageError(f"{self.path}: {name} is damaged") from None
        return known

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

    def description(self, read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of run.json.

        Raises:
            UsageError: this is no run, or `read` does not find what it looks for.
        """
        return self.understood(self.read_json("run.json"), read)

    def understood(self, known: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        """The same of a run.json that was read already."""
        try:
            return read(known)
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"{self.path}: run.json is damaged") from None


def _no_run(path: Path, missing: str) -> str:
    """What is said of a path where `missing` is not; which run is near, if one is."""
    below = sorted((*path.glob("*/run.json"), *path.glob("runs/*/run.json")))
    found = [near.parent for near in below] or [
        p for p in path.parents if (p / "run.json").exists()
    ]
    meant = f"; did you mean {found[-1]}?" if found and not (path / "run.json").exists() else ""
    return f"{path}: is no folder of a run ({missing} is missing){meant}"


def plain(name: str) -> str:
    """A name as that of a folder."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:60]
