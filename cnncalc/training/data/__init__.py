"""Data to train on: named sets, folders of images, arrays; fitted to a network, split, measured."""

from __future__ import annotations

from cnncalc.errors import CorruptImageError, ImageError
from cnncalc.training.data.dataset import DataSet, Split, Stream
from cnncalc.training.data.loading import NAMES, from_python, load_data

__all__ = [
    "NAMES",
    "CorruptImageError",
    "DataSet",
    "ImageError",
    "Split",
    "Stream",
    "from_python",
    "load_data",
]
