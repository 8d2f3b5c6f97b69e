"""SVHN's cropped digits: train_32x32.mat and test_32x32.mat, read by SciPy."""

from __future__ import annotations

import os
import struct
import zlib
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split, Statistics, reading
from cnncalc.training.data.readers.named import Published
from cnncalc.training.data.readers.places import find
from cnncalc.training.data.readers.published import DIGITS, published
from cnncalc.unpacking import allowed, check

if TYPE_CHECKING:
    from pathlib import Path


_HEADER, _TAG, _COMPRESSED = 128, 8, 15
_PIECE = 2**20


def read(directory: Path, entry: Published) -> Source | None:
    """The two splits, or None if their files are not there.

    Raises:
        UsageError: one of the files is missing or damaged, or SciPy is not installed.
    """
    files = [(f"{split}_32x32.mat",) for split in ("train", "test")]
    paths = find(directory, files, (entry.torchvision, entry.name))
    if paths is None:
        return None
    train, test = (_split(path) for path in paths)
    return Source(entry.name, entry.classes, train, test=test, published=entry.statistics)


def _split(path: Path) -> Split:
    """X is uint8 (32, 32, 3, N); y counts from 1, and 10 is the digit 0."""
    if find_spec("scipy") is None:
        raise UsageError("svhn needs SciPy: pip install scipy")
    from scipy.io import loadmat

    with reading(path, "a .mat file of SVHN"):
        _check_size(path)
        held = loadmat(str(path), variable_names=["X", "y"])
        pixels, digits = held["X"], held["y"].reshape(-1)
        if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(digits)):
            raise ValueError(
                f"X is {pixels.dtype} {pixels.shape}, not uint8 (32, 32, 3, {len(digits)})"
            )
        if digits.dtype.kind not in "ui":
            raise ValueError(f"y is {digits.dtype}, not whole numbers")
        labels = digits.astype(np.int64)
        labels[labels == 10] = 0
        images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
        return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _check_size(path: Path) -> None:
    """Unpacks the variables once, piece by piece: SciPy takes the sizes that they state.

    Raises:
        UsageError: they come to more than the file may hold.
    """
    most, size = allowed(path), 0
    with path.open("rb") as file:
        order = "<" if file.read(_HEADER)[-2:] == b"IM" else ">"
        while len(tag := file.read(_TAG)) == _TAG:
            kind, left = struct.unpack(f"{order}II", tag)
            if kind != _COMPRESSED:
                file.seek(left, os.SEEK_CUR)
                continue
            unpacker = zlib.decompressobj()
            data = b""
            while not unpacker.eof and (data or left):
                if not data:
                    data = file.read(min(left, _PIECE))
                    left = left - len(data) if data else 0
                size += len(unpacker.decompress(data, _PIECE))
                if size > most:
                    check(path, size)
                data = unpacker.unconsumed_tail
            file.seek(left, os.SEEK_CUR)


DATA_SETS = (
    published(
        Published(
            *("svhn", "SVHN", DIGITS, 10, (3, 32, 32)),
            Statistics((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
            "train_32x32.mat and test_32x32.mat",
            downloads=({"split": "train"}, {"split": "test"}),
        ),
        "73,257 + 26,032 house numbers, 32×32, RGB, 10 classes (needs SciPy)",
        read,
    ),
)
