"""What a data set is once it is loaded, and what the readers hand over before that."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Split(NamedTuple):
    """Samples that are in memory."""

    images: Tensor
    """(N, C, *sizes) on the CPU: uint8, or float32 where the source holds floats."""
    labels: Tensor
    """int64 (N,)."""

    def subset(self, indices: Tensor) -> Split:
        return Split(self.images[indices], self.labels[indices])


class Stream(Dataset[tuple[Tensor, int]]):
    """Samples that are made when they are asked for: (image (C, *sizes) as in `Split`, label)."""

    labels: Tensor
    """int64 (N,)."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...

    @abstractmethod
    def subset(self, indices: Tensor) -> Stream:
        """The samples `indices`, in that order."""


class Files(NamedTuple):
    """Image files that are not decoded yet."""

    paths: tuple[str, ...]
    labels: Tensor
    """int64 (N,)."""

    def subset(self, indices: Tensor) -> Files:
        return Files(tuple(self.paths[index] for index in indices.tolist()), self.labels[indices])


Part = Split | Files | Stream


class Statistics(NamedTuple):
    """Per channel, of images scaled to 0..1; of float images as they are."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Source(NamedTuple):
    """What a reader found, before it is fitted to a network."""

    name: str
    classes: tuple[str, ...]
    train: Part
    validation: Part | None = None
    test: Part | None = None
    published: Statistics | None = None


@dataclass(frozen=True)
class DataSet:
    """Data that fit a network: images of its shape, labels below its number of outputs."""

    name: str
    classes: tuple[str, ...]
    train: Split | Stream
    validation: Split | Stream | None
    test: Split | Stream | None
    mean: tuple[float, ...]
    """Per channel, of images scaled to 0..1 (of float images as they are): the published figures
    where there are such, else measured on `train`."""
    std: tuple[float, ...]
    skipped: tuple[str, ...] = ()
    """Paths of corrupt images that were left out."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Whatever goes wrong inside while a file is read is one `UsageError` that names the file."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged files fail in every way there is
        cause = str(error) or type(error).__name__
        raise UsageError(f"{path}: cannot be read as {what}: {cause}") from None
