"""Folders of images: train/<class>/…, test/<class>/…, val/<class>/…, or <class>/… alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import torch

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.training.data.dataset import Files, Source
from cnncalc.training.data.fitting.splits import stratified
from cnncalc.training.data.readers.named import DataSource, Place

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
_ROLES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class Tree(NamedTuple):
    """Where the splits lie; `train` is the folder itself where the classes lie in it."""

    train: Path
    validation: Path | None
    test: Path | None


def tree(directory: Path) -> Tree | None:
    """The splits of a folder, or None if it has none (their folders hold folders of classes)."""
    found: dict[str, Path] = {}
    loose: list[Path] = []
    for child in _folders(directory):
        for role, names in _ROLES.items():
            if child.name.lower() not in names:
                continue
            if not _folders(child):
                loose.append(child)
                continue
            if role in found:
                both = f"{found[role].name}/ and {child.name}/"
                raise UsageError(f"{directory} has both {both}; keep one of them")
            found[role] = child
    if not found:
        return None
    for child in loose:
        _check_not_loose(child)
    if "train" not in found:
        raise UsageError(f"{directory} has {next(iter(found.values())).name}/ but no train/")
    return Tree(found["train"], found.get("validation"), found.get("test"))


def read(directory: Path, *, test_share: float, seed: int) -> Source:
    """The files of a folder. Without test/ and val/, a share of each class becomes the test split.

    Raises:
        UsageError: there are no classes, one is empty, or the test set has another.
    """
    splits = tree(directory) or Tree(directory, None, None)
    names = class_names(splits.train)
    _check_level(splits.train, names)
    source = from_tree("imagefolder", splits, names)
    if splits.validation or splits.test or not test_share:
        return source
    kept, held = stratified(
        source.train.labels, test_share, seed, "the test share", "give more, or make a test/"
    )
    return source._replace(train=source.train.subset(kept), test=source.train.subset(held))


def class_names(folder: Path) -> list[str]:
    """Folders in it, by name; by number where all are numbers.

    Raises:
        UsageError: there are none.
    """
    names = [child.name for child in _folders(folder)]
    if not names:
        _check_not_loose(folder)
        raise UsageError(f"{folder} holds no folders of images (a folder a class: train/cat/1.jpg)")
    if all(name.isascii() and name.isdecimal() for name in names):
        names.sort(key=lambda name: (int(name), name))
    return names


def _check_not_loose(folder: Path) -> None:
    """Raises `UsageError` if a folder without folders holds images: their classes are not known."""
    if any(file.suffix.lower() in SUFFIXES for file in folder.iterdir()):
        raise UsageError(
            f"{folder} holds images, but no folders: put those of each class into a folder of its"
            " own"
        )


def _check_level(folder: Path, names: list[str]) -> None:
    """Raises `UsageError` if the classes seem to lie one folder deeper."""
    if len(names) == 1 and len(_folders(folder / names[0])) > 1:
        raise UsageError(
            f"{folder} holds one folder, which holds others: --data-dir {folder / names[0]}"
        )


def from_tree(name: str, splits: Tree, names: list[str]) -> Source:
    """The files of every split; labels are positions in `names`.

    Raises:
        UsageError: a class has no image to train on, or val/ or test/ has another class.
    """
    train = _files(splits.train, names)
    for folder in (splits.validation, splits.test):
        unknown = {child.name for child in _folders(folder)} - {*names} if folder else set()
        if unknown:
            other = min(unknown)
            raise UsageError(
                f"{folder} has the class {other!r}, {splits.train} does not; "
                f"{did_you_mean(other, names)}".rstrip("; ")
            )
    present = {*train.labels.tolist()}
    for label, class_name in enumerate(names):
        if label not in present:
            empty = splits.train / class_name
            suffixes = ", ".join(SUFFIXES[:4])
            raise UsageError(f"{empty} holds no image ({suffixes} …): fill the folder or remove it")
    validation = _files(splits.validation, names) if splits.validation else None
    test = _files(splits.test, names) if splits.test else None
    return Source(name, tuple(names), train, validation, test)


def _files(folder: Path, names: list[str]) -> Files:
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = _images(folder / name) if (folder / name).is_dir() else []
        paths += found
        labels += [label] * len(found)
    return Files(tuple(paths), torch.tensor(labels, dtype=torch.int64))


def _images(folder: Path) -> list[str]:
    """Image files in a folder and those below, sorted; hidden ones are left out.

    Links are followed, to each folder once: they may lead back.
    """
    found, seen = [], {folder.resolve()}
    for place, folders, files in os.walk(folder, onerror=_fail, followlinks=True):
        below = {name: Path(place, name).resolve() for name in folders if not name.startswith(".")}
        folders[:] = sorted(name for name, path in below.items() if path not in seen)
        seen |= {*below.values()}
        images = (name for name in sorted(files) if name.lower().endswith(SUFFIXES))
        found += [os.path.join(place, name) for name in images if not name.startswith(".")]
    return found


def _fail(error: OSError) -> None:
    raise error


def _folders(folder: Path) -> list[Path]:
    inside = (child for child in folder.iterdir() if not child.name.startswith("."))
    return sorted((child for child in inside if child.is_dir()), key=lambda child: child.name)


DATA_SETS = (
    DataSource(
        *("imagefolder", "images in folders of their classes", "your folder", Place.FOLDER),
        lambda wanted: read(wanted.given, test_share=wanted.test_share, seed=wanted.seed),
    ),
)
