"""Where files lie in a folder: directly, in one of the data set's name, or one below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def find(directory: Path, files: Sequence[Sequence[str]], own: Sequence[str]) -> list[Path] | None:
    """One path for each of `files` (each with its possible names), all from one folder, or None.

    The folders of `own` are looked at first, then `directory` itself, then any one folder below.

    Raises:
        UsageError: several folders below have them, or the only one has not got them all.
    """
    own_folders = [directory / name for name in own] + [directory]
    below = sorted(
        (child for child in directory.iterdir() if child.is_dir() and child not in own_folders),
        key=lambda child: child.name,
    )
    lacking = None
    for group in ([folder] for folder in own_folders), [below]:
        for folders in group:
            complete = []
            for folder in folders:
                paths = [_first(folder, names) for names in files]
                there = [path for path in paths if path]
                if len(there) == len(files):
                    complete.append(there)
                elif there and not lacking:
                    missing = ", ".join(
                        names[0] for names, path in zip(files, paths, strict=True) if not path
                    )
                    lacking = f"{folder} holds {there[0].name}, but not {missing}"
            if len(complete) > 1:
                both = " and ".join(str(paths[0].parent) for paths in complete[:2])
                raise UsageError(f"{both} both hold such files; name one of the folders")
            if complete:
                return complete[0]
    if lacking:
        raise UsageError(lacking)
    return None


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
