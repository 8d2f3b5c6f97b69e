"""The processes that read a stream ahead of its turn: how they begin, end, and are missed."""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cnncalc.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from torch.utils.data import DataLoader

SIGNALS = (signal.SIGINT, signal.SIGTERM)
DIED = re.compile(r"DataLoader worker \(pid.*?\d\) (?:is )?([^.]*)")
SHARED = "shared memory(shm)"
"""How PyTorch says that a worker died, and of what; or that it has no room for a batch."""


def leave_signals(_: int) -> None:
    """Ctrl-C and torchrun signal workers too: the process that trains finishes its step first."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def read_ahead(loader: DataLoader[Any]) -> Generator[Any, None, None]:
    """The batches of a loader whose workers begin with `leave_signals`.

    The workers end with this generator. One that is left over does not heed the SIGTERM by which
    Python ends it, and Python would wait for it for ever.

    Raises:
        TrainingError: a worker died while it handed a batch over; else see `none_missed`.
    """
    with _signals_later():  # one that comes while they begin would end them
        batches: Any = iter(loader)
    try:
        yield from batches
    except (ConnectionError, EOFError) as error:
        if str(error).startswith("Caught"):  # by the worker, of the data
            raise
        raise _died("while it handed images over") from None
    finally:
        _end(batches)


def _end(batches: Any) -> None:
    """Ends the workers, though PyTorch may raise news of a death between any two steps of it.

    Each death is told once, and here it no longer matters.
    """
    for _ in range(1 + len(batches._workers)):
        with suppress(RuntimeError):
            batches._shutdown_workers()
            for worker in batches._workers:
                if worker.is_alive():
                    worker.kill()
                    worker.join()
            return


@contextmanager
def none_missed() -> Iterator[None]:
    """Within, a worker that dies or cannot hand over is one message, wherever PyTorch notices.

    Raises:
        TrainingError: one did.
    """
    try:
        yield
    except RuntimeError as error:
        died = DIED.match(str(error))
        if died:
            raise _died(died[1]) from None
        if SHARED not in str(error):
            raise
        raise TrainingError(
            "no room in /dev/shm, through which images are handed over: give it more, or take a"
            " smaller train.batch_size; what was saved is as it was"
        ) from None


def _died(how: str) -> TrainingError:
    return TrainingError(
        f"a process that reads images has died ({how}): memory may have run out; what was saved is"
        " as it was"
    )


@contextmanager
def _signals_later() -> Iterator[None]:
    """Within, signals to this process wait; processes that begin inherit that."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
