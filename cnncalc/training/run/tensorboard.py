"""The metrics of a run as TensorBoard's event files, in its folder."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cnncalc.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


def check_tensorboard() -> None:
    """Raises `UsageError` if the package is missing."""
    _writer_class()


@contextmanager
def board(folder: Path, step: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Takes rows of the metrics: loss/train, accuracy/test, lr … at the row's step.

    What was written after `step` by a run that is resumed there is hidden.

    Raises:
        OutputError: the events cannot be written.
    """
    try:
        writer = _writer_class()(str(folder), purge_step=step + 1 if step else None)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from None

    def write(row: Mapping[str, Any]) -> None:
        try:
            for name, value in row.items():
                if value is not None and name != "step":
                    writer.add_scalar(_tag(name), value, row["step"])
            writer.flush()
        except OSError as error:
            raise OutputError(f"{folder}: TensorBoard's events: {error.strerror}") from None

    try:
        yield write
    finally:
        writer.close()


def _tag(name: str) -> str:
    """val_loss -> loss/val, so that TensorBoard draws the splits of a figure side by side."""
    return re.sub(r"^(train|val|test)_(loss|accuracy)$", r"\2/\1", name)


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise UsageError("--tensorboard needs TensorBoard: pip install tensorboard") from None
    return SummaryWriter
