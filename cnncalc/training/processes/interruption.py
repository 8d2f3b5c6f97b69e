"""Ctrl-C and SIGTERM: the step is finished, the run saved; a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

import torch

from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from types import FrameType


class Interruption:
    """Within, the two signals are only noted. `number` is that of the one that came, or 0."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def noticed(self) -> int:
        """Asked after each step: the number of the signal that ends the run, or 0."""
        return self.number

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number


class SharedInterruption(Interruption):
    """Of several processes: a signal to one of them ends all after the same step.

    Each step sends the numbers round and reads what came of the step before, so no step waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.agreed = 0
        self._sent: tuple[Any, torch.Tensor] | None = None

    def noticed(self) -> int:
        if not self.agreed:
            self._receive()
        if not self.agreed:
            self._send()
        return self.agreed

    def _send(self) -> None:
        import torch.distributed as dist

        numbers = torch.tensor(self.number)
        self._sent = dist.all_reduce(numbers, dist.ReduceOp.MAX, async_op=True), numbers

    def _receive(self) -> None:
        if self._sent is not None:
            work, numbers = self._sent
            work.wait()
            self.agreed, self._sent = int(numbers), None

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        if not any(raised):
            self._receive()


def interruption_of_all() -> Interruption:
    """Of this run's processes."""
    return Interruption() if here().count == 1 else SharedInterruption()
