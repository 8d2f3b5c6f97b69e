"""One run is trained once at a time."""

from __future__ import annotations

import errno
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cnncalc.errors import OutputError, UsageError
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"
"""A file that the system locks for as long as a process lives; left behind, it means nothing."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within, no other process trains the run of that folder; of several, the first one sees to it.

    Raises:
        UsageError: another one does already.
        OutputError: the folder cannot be written.
    """
    with ExitStack() as held:
        here().from_first(lambda: held.enter_context(_locked(folder)))
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows: nobody looks
        yield
        return
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise OutputError(f"{folder / LOCK}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise UsageError(
                f"{folder}: another process is training this run: wait for it, or stop it first"
            ) from None
        except OSError as error:  # some file systems have no locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise OutputError(f"{folder / LOCK}: {error.strerror}") from None
        yield
