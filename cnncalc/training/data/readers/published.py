"""Published data sets: from files in their own format, or a copy as a folder of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.errors import UsageError
from cnncalc.training.data.readers import image_folder
from cnncalc.training.data.readers.download import cached
from cnncalc.training.data.readers.named import DataSource, Place, Published, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cnncalc.training.data.dataset import Source

    ReadFiles = Callable[[Path, Published], Source | None]

DIGITS = tuple("0123456789")


def published(entry: Published, about: str, read: ReadFiles) -> DataSource:
    """A data set whose own files `read` finds in a folder; None from it if they are not there."""

    def source(wanted: Wanted) -> Source:
        directory = wanted.path or cached(entry, download=wanted.download)
        return read(directory, entry) or _copy(entry, directory)

    return DataSource(
        entry.name, about, "downloaded, or your folder", Place.ANY, source, published=entry
    )


def _copy(entry: Published, directory: Path) -> Source:
    """From a folder of images.

    Raises:
        UsageError: there is none, or it is of other classes.
    """
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
