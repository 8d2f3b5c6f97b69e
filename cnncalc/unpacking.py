"""How much a packed file may hold: a small one cannot fill the machine.

A file may unpack to 4 GiB, 100 times its own size or, if it is tiny, 64 MiB; what is not packed may
have any size. Sizes that a file states are not trusted: bytes are counted as they come.
"""

from __future__ import annotations

import os
import zipfile
from typing import Protocol

from cnncalc.errors import UsageError

MOST = 4 * 2**30
"""Bytes that come out of a packed file."""
RATIO = 100
"""Times its own size."""
ALWAYS = 64 * 2**20
"""Bytes that any file may hold: zeros and a single colour pack well."""


def allowed(path: str | os.PathLike[str]) -> int:
    """Bytes that may come out of a file."""
    size = os.stat(path).st_size  # noqa: PTH116 - a path of either kind
    return max(size, min(MOST, max(ALWAYS, RATIO * size)))


def check(path: str | os.PathLike[str], size: int) -> None:
    """Raises `UsageError` if as many bytes may not come out of a file."""
    most = allowed(path)
    if size > most:
        raise UsageError(
            f"{os.fspath(path)}: unpacks to more than {most:,} bytes; a file may hold 4 GiB, 100"
            " times its size, or 64 MiB if it is small, so this one is not read: unpack it first"
        )


def check_members(path: str | os.PathLike[str]) -> None:
    """Raises `UsageError` if the members of a zip archive say that they come to too much.

    For readers that take memory for what a member says, and no more out of it, as PyTorch's does.
    What is no zip archive is not packed.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check(path, sum(info.file_size for info in archive.infolist()))


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


class Unpacked:
    """A stream of what a file unpacks to, read from the beginning to the end.

    Raises `UsageError` when more comes out than the file may hold.
    """

    def __init__(self, stream: Readable, path: str | os.PathLike[str]) -> None:
        self._stream = stream
        self._path = path
        self._left = allowed(path)

    def read(self, size: int = -1) -> bytes:
        asked = self._left + 1 if size < 0 else min(size, self._left + 1)
        data = self._stream.read(asked)
        self._left -= len(data)
        if self._left < 0:
            check(self._path, allowed(self._path) + 1)
        return data
