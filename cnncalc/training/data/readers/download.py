"""The published data sets brought here by torchvision, which knows mirrors and checksums."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.training.data.readers.named import Published

_SECONDS = 60
"""A server that is silent for longer is given up."""


def cache() -> Path:
    """Where downloads are kept: $CNNCALC_DATA, else ~/.cache/cnncalc/data."""
    return Path(os.environ.get("CNNCALC_DATA") or "~/.cache/cnncalc/data").expanduser()


def cached(entry: Published, *, download: bool) -> Path:
    """The folder of a data set in the cache; downloaded if it is not there.

    A download appears under its name when it is complete, so an interrupted one leaves nothing,
    and of several processes the first one's counts.

    Raises:
        UsageError: it is not there, and is not to be downloaded or cannot be.
        OutputError: the cache cannot be written.
    """
    folder = cache() / entry.name
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    place = f"put {entry.files} into {folder}, or name their folder with --data-dir"
    if not download:
        raise UsageError(f"{entry.name} is not there and is not to be downloaded: {place}")
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=folder.parent))
    try:
        _fetch(entry, part, place)
        with _writing(folder):
            _rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _fetch(entry: Published, folder: Path, place: str) -> None:
    from torchvision import datasets

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        reader = getattr(datasets, entry.torchvision)
        for arguments in entry.downloads:
            reader(str(folder), download=True, **arguments)
    except Exception as error:  # noqa: BLE001 - a server may fail in every way there is
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"{folder.parent}: {error.strerror}") from None
        cause = str(error) or type(error).__name__
        raise UsageError(f"{entry.name} cannot be downloaded; {place} ({cause})") from None
    finally:
        socket.setdefaulttimeout(before)


def _rename(part: Path, folder: Path) -> None:
    try:
        part.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "set CNNCALC_DATA to a folder that can be written"
        raise OutputError(f"{folder}: cannot be written: {error.strerror}; {advice}") from None
