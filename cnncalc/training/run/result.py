"""What `cnncalc.train` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


@dataclass(frozen=True)
class Run:
    """A run that ended, or was interrupted."""

    folder: Path
    model: nn.Module
    finished: bool
    signal: int
    """Number of the signal that interrupted it, or 0."""
    metrics: list[dict[str, str]]
    """The rows of metrics.csv."""
