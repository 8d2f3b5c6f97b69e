"""A data set that has a name: what is known of it, and what reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cnncalc.training.data.dataset import Source, Statistics
    from cnncalc.training.data.fitting.target import Target


class Place(Enum):
    """What --data-dir names for a data set."""

    NONE = "nothing"
    ANY = "a folder, or nothing"
    FOLDER = "folder of images"
    FILE = "file"


class Wanted(NamedTuple):
    """What is asked of a data set; `load_data` explains it."""

    path: Path | None
    """What --data-dir names; it is there."""
    target: Target
    seed: int
    memory_limit: int
    samples: tuple[int, int] | None
    test_share: float
    download: bool

    @property
    def given(self) -> Path:
        """`path`, for a data set that cannot do without."""
        assert self.path is not None
        return self.path


@dataclass(frozen=True)
class Published:
    """What is known of a published data set without its files."""

    name: str
    torchvision: str
    """Class of torchvision.datasets that downloads it, and its folder."""
    classes: tuple[str, ...]
    """Empty where the files name them."""
    count: int
    """Of classes."""
    shape: tuple[int, ...]
    statistics: Statistics
    files: str
    """What a user has to provide where it cannot be downloaded."""
    downloads: tuple[Mapping[str, Any], ...] = ({},)
    """Further arguments of torchvision's class, for each call that it takes."""


@dataclass(frozen=True)
class DataSource:
    """One of the `DATA_SETS` of a file in this folder, in which it is found by itself."""

    name: str
    about: str
    """What it holds, for the documentation; and where it comes from."""
    origin: str
    place: Place
    read: Callable[[Wanted], Source]
    """Raises `UsageError` where the data are missing, damaged or do not fit the network."""
    published: Published | None = None
