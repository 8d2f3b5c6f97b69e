"""IDX files, as MNIST and its likes come: four files, packed by gzip or not."""

from __future__ import annotations

import gzip
import math
import struct
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split, Statistics, reading
from cnncalc.training.data.readers.named import Published
from cnncalc.training.data.readers.places import find
from cnncalc.training.data.readers.published import DIGITS, published
from cnncalc.unpacking import Unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from cnncalc.training.data.readers.named import DataSource

_BYTES = 0x08


def read(directory: Path, entry: Published) -> Source | None:
    """The two splits, or None if their files are not there.

    Raises:
        UsageError: one of the files is missing, damaged or has another length than its twin.
    """
    stems = [
        (f"{split}-{what}-idx{axes}-ubyte", f"{split}-{what}.idx{axes}-ubyte")
        for split in ("train", "t10k")
        for what, axes in (("images", 3), ("labels", 1))
    ]
    files = [(*names, *(f"{name}.gz" for name in names)) for names in stems]
    own = (f"{entry.torchvision}/raw", entry.torchvision, entry.name)
    paths = find(directory, files, own)
    if paths is None:
        return None
    return Source(
        entry.name,
        entry.classes,
        train=_split(paths[0], paths[1]),
        test=_split(paths[2], paths[3]),
        published=entry.statistics,
    )


def _split(images_path: Path, labels_path: Path) -> Split:
    images = read_idx(images_path, axes=3).unsqueeze(1)
    labels = read_idx(labels_path, axes=1).long()
    if len(images) != len(labels):
        raise UsageError(
            f"{images_path} holds {len(images)} images, {labels_path.name} {len(labels)} labels"
        )
    return Split(images, labels)


def read_idx(path: Path, axes: int) -> Tensor:
    """The uint8 array of that many axes which a file holds.

    Raises:
        UsageError: it cannot be read, is damaged, unpacks to too much or holds something else.
    """
    with reading(path, "IDX"), (gzip.open if path.suffix == ".gz" else open)(path, "rb") as packed:
        file = Unpacked(packed, path)
        head = file.read(4 + 4 * axes)
        if len(head) < 4 + 4 * axes or head[:4] != bytes((0, 0, _BYTES, axes)):
            raise ValueError(f"it does not begin as a file of bytes with {axes} axes does")
        sizes = struct.unpack(f">{axes}I", head[4:])
        length = math.prod(sizes)
        body = file.read(length + 1)
        if len(body) != length:
            more = "more" if len(body) > length else "less"
            raise ValueError(f"it holds {more} than the {length:,} bytes it speaks of")
        return torch.from_numpy(np.frombuffer(bytearray(body), np.uint8).reshape(sizes))


_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"
)
_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def _named(
    name: str, torchvision: str, what: str, mean: float, std: float, classes: tuple[str, ...]
) -> DataSource:
    statistics = Statistics((mean,), (std,))
    entry = Published(name, torchvision, classes, 10, (1, 28, 28), statistics, _FILES)
    return published(entry, f"60,000 + 10,000 {what}, 28×28, grey, 10 classes", read)


DATA_SETS = (
    _named("mnist", "MNIST", "handwritten digits", 0.1307, 0.3081, DIGITS),
    _named("fashion_mnist", "FashionMNIST", "pieces of clothing", 0.2860, 0.3530, _FASHION),
    _named("kmnist", "KMNIST", "cursive Japanese characters", 0.1918, 0.3483, _KUZUSHIJI),
)
