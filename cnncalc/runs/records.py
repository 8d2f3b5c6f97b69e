"""Runs as their folders record them. Does not load torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.errors import UsageError
from cnncalc.runs.folder import COLUMNS, METRICS, Row, RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterable

FINISHED, UNFINISHED, DAMAGED = "finished", "unfinished", "damaged"
SIGNS = ("run.json", METRICS, "checkpoints")
"""A folder that holds one of these is that of a run, or what is left of one."""


@dataclass(frozen=True)
class Record:
    """What a run has come to. Accuracies are fractions of the last evaluation."""

    path: Path
    state: str
    """finished; unfinished (still running, or interrupted); damaged."""
    network: str | None = None
    epoch: int | None = None
    step: int | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    best_val_loss: float | None = None
    seconds: float | None = None
    problem: str = ""
    """What is wrong with a damaged one."""


def list_runs(folder: Path) -> list[Record]:
    """The runs in a folder, the one begun last first; or the one whose folder it is.

    Raises:
        UsageError: there is no such folder.
    """
    if is_run(folder):
        return [record_of(folder)]
    try:
        found = [child for child in folder.iterdir() if child.is_dir() and is_run(child)]
    except FileNotFoundError:
        raise UsageError(f"{folder}: there is no such folder") from None
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None
    return [record_of(path) for path in sorted(found, key=_begun, reverse=True)]


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, or what is left of one."""
    return any((path / sign).exists() for sign in SIGNS)


def record_of(path: Path) -> Record:
    """What a run has come to; a damaged one is no error."""
    try:
        known = RunFolder(path).read_json("run.json")
        rows = read_metrics(path)
        network = known["network"]["spec"]["name"]
        steps = _steps_at_the_end(path)
    except UsageError as error:
        return Record(path, DAMAGED, problem=str(error).removeprefix(f"{path}: "))
    except (KeyError, TypeError, ValueError):
        return Record(path, DAMAGED, problem="run.json or summary.json is damaged")
    last = rows[-1] if rows else dict.fromkeys(COLUMNS)
    step = int(last["step"] or 0)
    losses = [loss for row in rows if (loss := row["val_loss"]) is not None and math.isfinite(loss)]
    return Record(
        path,
        FINISHED if steps is not None and steps >= step else UNFINISHED,
        str(network),
        int(last["epoch"] or 0),
        step,
        last["val_accuracy"],
        last["test_accuracy"],
        min(losses, default=None),
        last["seconds"],
    )


def read_metrics(path: Path) -> list[Row]:
    """The rows of a run's metrics.csv, as numbers.

    Raises:
        UsageError: they cannot be read.
    """
    rows = RunFolder(path).rows()
    try:
        return [_numbers(row) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: {METRICS} is damaged") from None


def metrics_of(runs: Iterable[Path]) -> dict[str, list[Row]]:
    """The metrics of several runs by their names; by their paths where names are the same.

    Raises:
        UsageError: one is no run, or has not been evaluated yet.
    """
    paths = list(runs)
    names = [path.resolve().name for path in paths]
    chosen = names if len({*names}) == len(names) else [str(path) for path in paths]
    found = {name: read_metrics(path) for name, path in zip(chosen, paths, strict=True)}
    for name, rows in found.items():
        if not rows:
            raise UsageError(f"{name}: it has not been evaluated yet")
    return found


def _numbers(row: dict[str, Any]) -> Row:
    return {name: float(row[name]) if row[name] else None for name in COLUMNS}


def _steps_at_the_end(path: Path) -> int | None:
    """The steps of a run when it was finished; None if it was not yet."""
    if not (path / "summary.json").exists():
        return None
    return int(RunFolder(path).read_json("summary.json")["steps"])


def _begun(path: Path) -> tuple[float, str]:
    """When a run began: its environment is written once."""
    for name in ("environment.json", "."):
        try:
            return (path / name).stat().st_mtime, path.name
        except OSError:
            continue
    return 0.0, path.name
