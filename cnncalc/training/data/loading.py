"""A data set by name, or from Python, fitted to a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.training.data.dataset import DataSet, Source, Statistics
from cnncalc.training.data.fitting.fitting import Options, fitted
from cnncalc.training.data.fitting.target import Target
from cnncalc.training.data.readers import (
    cifar,
    digits,
    idx,
    image_folder,
    npz,
    python,
    svhn,
    synthetic,
)
from cnncalc.training.data.readers.download import cached
from cnncalc.training.data.readers.published import PUBLISHED, Published

_READERS: dict[str, Callable[[Path, Published], Source | None]] = {
    **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), idx.read),
    **dict.fromkeys(("cifar10", "cifar100"), cifar.read),
    "svhn": svhn.read,
}
NAMES = ("digits", *PUBLISHED, "imagefolder", "npz", "synthetic")
OWN = ("digits", "synthetic")
"""Those that come with the program, or are made."""
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
    try:
        path = None if directory is None else _existing(Path(directory), file=name == "npz")
        if path is not None and name in OWN:
            raise UsageError(f"{name} needs no folder: leave out {path}, or use --data imagefolder")
        if name == "digits":
            source = digits.read()
        elif name == "synthetic":
            source = synthetic.read(target, samples, seed, memory_limit)
        elif name in PUBLISHED:
            source = _published(PUBLISHED[name], path, download=download)
        elif path is None:
            what = "folder of images" if name == "imagefolder" else "file"
            raise UsageError(f"{name} needs its {what}: --data-dir PATH")
        elif name == "npz":
            source = npz.read(path, target)
        else:
            source = image_folder.read(path, test_share=test_share, seed=seed)
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


def _published(entry: Published, directory: Path | None, *, download: bool) -> Source:
    """From files in their own format, or a copy as a folder of images."""
    directory = directory or cached(entry, download=download)
    source = _READERS[entry.name](directory, entry)
    if source:
        return source
    for place in (directory, directory / entry.name):
        if place.is_dir() and (splits := image_folder.tree(place)):
            names = image_folder.class_names(splits.train)
            if len(names) != entry.count:
                raise UsageError(
                    f"{splits.train} holds {len(names)} classes, {entry.name} has {entry.count}"
                )
            if {*names} == {*entry.classes}:
                names = list(entry.classes)
            copy = image_folder.from_tree(entry.name, splits, names)
            return copy._replace(published=entry.statistics)
    raise UsageError(
        f"{directory} holds no {entry.name}: it takes {entry.files}, unpacked or not, or images in "
        "train/<class>/ and test/<class>/"
    )
