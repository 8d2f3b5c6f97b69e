"""Data handed over in Python: arrays, tensors, data sets of PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, Subset, TensorDataset

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.training.data.dataset import Part, Source, Stream
from cnncalc.training.data.fitting.target import check_shape, fit
from cnncalc.training.data.readers.arrays import as_images, as_labels, as_split

if TYPE_CHECKING:
    from cnncalc.training.data.fitting.target import Target

_KEYS = ("train", "validation", "test")


def read(data: Any, classes: Sequence[str], target: Target) -> Source:
    """`data` to train on, or a mapping of `train`, `validation` and `test`.

    Each is (images, labels), or a data set of (image, label) with a length.

    Raises:
        UsageError: it is something else, or images or labels are none.
    """
    if not isinstance(data, Mapping):
        data = {"train": data}
    for key in data:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            raise UsageError(f"data: unknown split {key!r}; {hint}")
    if data.get("train") is None:
        raise UsageError("data: there is no split 'train'")
    parts = [
        None if data.get(key) is None else _part(data[key], target, f"data: {key}") for key in _KEYS
    ]
    assert parts[0] is not None
    return Source("data", tuple(classes), parts[0], parts[1], parts[2])


def _part(data: Any, target: Target, where: str) -> Part:
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, tuple | list) and len(data) == 2:
        return as_split(data[0], data[1], target, where)
    if isinstance(data, IterableDataset) or not (
        hasattr(data, "__getitem__") and hasattr(data, "__len__")
    ):
        raise UsageError(
            f"{where}: takes (images, labels), or a data set with a length and items "
            f"(image, label); received {type(data).__name__}"
        )
    labels = as_labels(_labels(data, where), where)
    if len(labels) != len(data):
        raise UsageError(f"{where}: {len(data)} items, but {len(labels)} labels")
    stream = PythonStream(data, labels, torch.arange(len(data)), target, where)
    if len(labels):
        stream[0]  # its shape is found wrong before training
    return stream


class PythonStream(Stream):
    """A foreign data set. Its items may be random, so each is asked for anew in every epoch."""

    def __init__(
        self, data: Any, labels: Tensor, indices: Tensor, target: Target, where: str
    ) -> None:
        self.labels = labels
        self._data = data
        self._indices = indices
        self._target = target
        self._where = where

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        item = int(self._indices[index])
        where = f"{self._where}[{item}]"
        image = _pair(self._data[item], where)[0]
        batch = image if isinstance(image, Tensor) else np.asarray(image)
        pixels = as_images(batch[None], self._target, where)
        check_shape(where, tuple(pixels.shape[1:]), self._target)
        return fit(pixels, self._target)[0], int(self.labels[index])

    def subset(self, indices: Tensor) -> PythonStream:
        chosen = self._indices[indices]
        return PythonStream(self._data, self.labels[indices], chosen, self._target, self._where)


def _labels(data: Any, where: str) -> Any:
    """Of all items: `targets` or `labels` where torchvision keeps them, else asked one by one."""
    if isinstance(data, Subset):
        return np.asarray(_labels(data.dataset, where))[list(data.indices)]
    if getattr(data, "target_transform", None) is None:
        for name in ("targets", "labels"):
            known = getattr(data, name, None)
            if known is not None and len(known) == len(data):
                return known
    return [_label(data[index], f"{where}[{index}]") for index in range(len(data))]


def _label(item: Any, where: str) -> int:
    label = _pair(item, where)[1]
    try:
        return operator.index(label)
    except TypeError:
        raise UsageError(f"{where}: a label is a whole number; received {label!r}") from None


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise UsageError(f"{where}: an item is (image, label); received {type(item).__name__}")
    return item[0], item[1]
