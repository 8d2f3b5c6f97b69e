"""A data set by name, or from Python, fitted to a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.training.data import readers
from cnncalc.training.data.dataset import DataSet, Source, Statistics
from cnncalc.training.data.fitting.fitting import Options, fitted
from cnncalc.training.data.fitting.target import Target
from cnncalc.training.data.readers import python
from cnncalc.training.data.readers.named import DataSource, Place, Wanted


def _found() -> dict[str, DataSource]:
    """Those of every file of the readers' folder."""
    names = (module.name for module in iter_modules(readers.__path__, f"{readers.__name__}."))
    modules = map(import_module, names)
    return {each.name: each for module in modules for each in getattr(module, "DATA_SETS", ())}


DATA_SETS = _found()
"""By their names."""
NAMES = tuple(DATA_SETS)
MEMORY_LIMIT = 2 * 2**30
"""Bytes of images up to which a data set is held in memory."""


def load_data(
    name: str,
    *,
    input_shape: tuple[int, ...],
    outputs: int,
    directory: str | Path | None = None,
    validation: float = 0.0,
    resize: str | None = "auto",
    seed: int = 0,
    download: bool = True,
    on_corrupt: str = "error",
    memory_limit: int = MEMORY_LIMIT,
    test_share: float = 0.2,
    samples: tuple[int, int] | None = None,
    known: Sequence[str] = (),
) -> DataSet:
    """The data set `name`, read from `directory` or, published ones, from the cache.

    `validation` is the share of the training split that is held out, `test_share` that of a folder
    of images without test/ and val/; both are drawn by `seed`. `resize` is "auto" or "off".
    `on_corrupt`, for images, is "error" or "skip". `samples` counts the random images of
    `synthetic`, to train on and to test on. `known` are the classes of a network that was trained:
    numbered labels are these, and some may have no image.

    Raises:
        UsageError: the data are unknown, missing, damaged or do not fit the network.
        OutputError: a download cannot be written.
    """
    if name not in NAMES:
        raise UsageError(f"unknown data set {name!r}; {_suggestion(name)}")
    target = _target(input_shape, outputs, resize)
    if on_corrupt not in ("error", "skip"):
        raise UsageError(f"on_corrupt is error or skip; received {on_corrupt!r}")
    skips = on_corrupt == "skip"
    options = Options(validation, seed, memory_limit, skip_corrupt=skips, known=tuple(known))
    known_set = DATA_SETS[name]
    place = known_set.place
    try:
        path = None
        if directory is not None:
            path = _existing(Path(directory), file=place is Place.FILE)
        if path is not None and place is Place.NONE:
            raise UsageError(f"{name} needs no folder: leave out {path}, or use --data imagefolder")
        if path is None and place in (Place.FOLDER, Place.FILE):
            raise UsageError(f"{name} needs its {place.value}: --data-dir PATH")
        wanted = Wanted(path, target, seed, memory_limit, samples, test_share, download)
        source = known_set.read(wanted)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return fitted(source, target, options)


def from_python(
    data: Any,
    *,
    input_shape: tuple[int, ...],
    outputs: int,
    classes: Sequence[str] = (),
    validation: float = 0.0,
    resize: str | None = "auto",
    seed: int = 0,
    memory_limit: int = MEMORY_LIMIT,
    known: Sequence[str] = (),
) -> DataSet:
    """Data of a caller: (images, labels), a data set of (image, label), or a mapping of such.

    Images are arrays or tensors, uint8 or float, (N, C, *sizes), (N, *sizes, C) or (N, *sizes).
    The keys of a mapping are `train`, `validation` and `test`. `classes` names the labels. Arrays
    stay in memory, data sets are streams. `known` is as for `load_data`.

    Raises:
        UsageError: these are no such data, or do not fit the network.
    """
    target = _target(input_shape, outputs, resize)
    if isinstance(data, DataSet):
        parts = (data.train, data.validation, data.test)
        source = Source(data.name, data.classes, *parts, Statistics(data.mean, data.std))
    else:
        source = python.read(data, classes, target)
    return fitted(source, target, Options(validation, seed, memory_limit, known=tuple(known)))


def _target(shape: tuple[int, ...], outputs: int, resize: str | None) -> Target:
    if resize not in ("auto", "off", None):
        raise UsageError(f"resize is auto or off; received {resize!r}")
    return Target(tuple(shape), outputs, resize == "auto")


def _suggestion(name: str) -> str:
    path = Path(name)
    if path.exists():
        kind = "imagefolder" if path.is_dir() else "npz"
        return f"did you mean --data {kind} --data-dir {name}?"
    hint = did_you_mean(name, NAMES)
    return hint or f"known: {', '.join(NAMES)}"


def _existing(path: Path, *, file: bool) -> Path:
    path = path.expanduser()
    if path.is_dir() or (file and path.is_file()):
        return path
    if path.exists():
        raise UsageError(f"{path} is no folder")
    raise UsageError(f"{path}: no such {'file or folder' if file else 'folder'}")
