"""Checkpoints: whole on disk or not there, checked when read, the one before kept."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import OutputError, UsageError
from cnncalc.unpacking import check_members

if TYPE_CHECKING:
    from pathlib import Path

LAST = "last.pt"
BEFORE = "before.pt"
"""The last checkpoint but one: what is left if the disk damages the last."""
BEST = "best.pt"
PARTS = {"model", "optimizer", "step"}
"""What no last checkpoint is without."""


def write_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint under a temporary name, syncs it, and renames it.

    Raises:
        OutputError: it cannot be written; what stood there before is as it was.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        if not isinstance(error, OSError | RuntimeError):
            raise  # a second Ctrl-C
        raise OutputError(f"{path}: the checkpoint cannot be written: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """PyTorch's writer covers a full disk with a RuntimeError of its own."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, OSError):
        below = below.__context__
    return str(error).partition("\n")[0] if below is None else below.strerror or str(below)


def save_last(state: dict[str, Any], folder: Path) -> None:
    """Makes `state` the last checkpoint of a run; the one before it stays. Raises OutputError."""
    last, new = folder / LAST, folder / f"new-{LAST}"
    write_checkpoint(state, new)
    try:
        if last.exists():
            last.replace(folder / BEFORE)
        new.replace(last)
    except OSError as error:
        raise OutputError(f"{last}: cannot be written: {error.strerror}") from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU; it can run nothing.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    try:
        check_members(path)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise UsageError(f"{path}: the checkpoint is damaged")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such checkpoint") from None
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - damaged files fail in every way there is
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path}: the checkpoint is damaged: {reason}") from None
    return state


def read_last(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest checkpoint of a run that is whole, and a message on each newer one.

    None: nothing was saved yet.

    Raises:
        UsageError: all that was saved is damaged.
    """
    problems: list[str] = []
    for name in (LAST, f"new-{LAST}", BEFORE):
        path = folder / name
        if not path.exists():
            continue
        try:
            state = read_checkpoint(path)
        except UsageError as error:
            problems.append(str(error))
            continue
        if isinstance(state, dict) and state.keys() >= PARTS:
            return state, [f"{problem}; an older one is used" for problem in problems]
        problems.append(f"{path}: it is no checkpoint that a run goes on from")
    if problems:
        raise UsageError(f"{'; '.join(problems)}; there is no older one")
    return None, []
