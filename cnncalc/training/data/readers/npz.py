"""NumPy archives: x_train, y_train, and, where there are such, x_val, y_val, x_test, y_test."""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split, reading
from cnncalc.training.data.readers.arrays import as_split
from cnncalc.training.data.readers.named import DataSource, Place
from cnncalc.unpacking import check

if TYPE_CHECKING:
    from pathlib import Path

    from cnncalc.training.data.fitting.target import Target

_SPLITS = ("train", "val", "test")
_NAMES = ("classes", *(f"{x}_{split}" for split in _SPLITS for x in "xy"))


def read(path: Path, target: Target) -> Source:
    """The splits of an archive, or of the only one in a folder. Nothing is unpickled.

    Classes are numbered, unless an array of texts, `classes`, names them.

    Raises:
        UsageError: no archive, or a damaged one, or one that unpacks to too much; an array is
            missing or no images or labels.
    """
    file = _only(path) if path.is_dir() else path
    with reading(file, "a .npz archive"):
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no archive, as numpy.savez writes them")
        _check_sizes(file)
        with np.load(file, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in _NAMES if name in archive}
    splits = [_split(arrays, split, target, file) for split in _SPLITS]
    if splits[0] is None:
        held = ", ".join(archive.files) or "nothing"
        raise UsageError(f"{file} holds no x_train and y_train; it holds {held}")
    names = tuple(map(str, arrays["classes"].reshape(-1))) if "classes" in arrays else ()
    return Source("npz", names, *(splits[0], splits[1], splits[2]))


def _check_sizes(file: Path) -> None:
    """Before memory is asked for: a member gives no more bytes than the archive says of it.

    Raises:
        UsageError: the arrays that are read come to more than the file may hold.
        ValueError: an array speaks of more than its member holds.
    """
    with zipfile.ZipFile(file) as archive:
        names = {info.filename for info in archive.infolist()}
        infos = [archive.getinfo(f"{name}.npy") for name in _NAMES if f"{name}.npy" in names]
        check(file, sum(info.file_size for info in infos))
        for info in infos:
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0
                read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                if math.prod(shape) * dtype.itemsize > info.file_size:
                    raise ValueError(f"{info.filename} holds less than the {shape} it speaks of")


def _split(arrays: dict[str, Any], split: str, target: Target, file: Path) -> Split | None:
    x, y = f"x_{split}", f"y_{split}"
    if x not in arrays and y not in arrays:
        return None
    for name, other in ((x, y), (y, x)):
        if name not in arrays:
            raise UsageError(f"{file} holds {other}, but no {name}")
    return as_split(arrays[x], arrays[y], target, f"{file}: {x}", f"{file}: {y}")


def _only(folder: Path) -> Path:
    files = sorted(folder.glob("*.npz"))
    if len(files) != 1:
        found = f"{len(files)} .npz files" if files else "no .npz file"
        raise UsageError(f"{folder} holds {found}; name one, as in --data-dir {folder}/data.npz")
    return files[0]


DATA_SETS = (
    DataSource(
        *("npz", "arrays", "your file", Place.FILE),
        lambda wanted: read(wanted.given, wanted.target),
    ),
)
