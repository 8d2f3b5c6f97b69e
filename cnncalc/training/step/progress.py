"""Who watches a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cnncalc.runs.folder import Row
    from cnncalc.training.step.plateau import Standstill


class Progress:
    """Told how a run goes. It says nothing: what derives from it says what it likes."""

    def begin(self, plan: Any, folder: Path, step: int, problems: Sequence[str]) -> None:
        """Told a `Plan` before the first step; `problems`: one for each damaged checkpoint."""

    def step(self, step: int, loss: float, accuracy: float, images: int) -> None:
        """Told now and then within an epoch; `images` were trained on since it was told last."""

    def epoch(self, row: Row) -> None:
        """Told after each evaluation: a row of the metrics."""

    def stale(self, evaluations: int) -> None:
        """Told when a run ends because so many of them brought no better validation loss."""

    def standing(self, standstill: Standstill) -> None:
        """Told at the end of an epoch when the network has learnt nothing so far."""
