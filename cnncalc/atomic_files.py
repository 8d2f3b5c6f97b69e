"""Files that are complete or not there at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A path of the same name to write to, in a folder beside `path` that is there for a moment.

    What was written in that folder takes its place beside `path` if all goes well, `path` itself
    last and with the permissions of the file that it replaces; else nothing changes. A link is
    followed. A device or pipe cannot be replaced: it is its own draft.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            if path.is_dir():
                raise IsADirectoryError(None, "Is a directory")
            yield path
            return
        target = path.resolve()
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(None, "it is write-protected")
        import tempfile

        with tempfile.TemporaryDirectory(
            prefix=f".{target.name[:50]}.", dir=target.parent, ignore_cleanup_errors=True
        ) as folder:
            draft = Path(folder) / target.name
            yield draft
            _move(draft, target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _move(draft: Path, target: Path) -> None:
    """Moves a draft, and first the files that were written beside it, to its place."""
    if target.exists():
        draft.chmod(target.stat().st_mode & 0o7777)
    others = [file for file in draft.parent.iterdir() if file != draft]
    for file in (*others, draft):
        with file.open("rb") as written:
            os.fsync(written.fileno())
        file.replace(target.parent / file.name)
