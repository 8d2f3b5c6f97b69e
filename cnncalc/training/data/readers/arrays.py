"""Arrays and tensors from outside made into images and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Split
from cnncalc.training.data.fitting.target import Target


def as_split(images: Any, labels: Any, target: Target, where: str, labels_where: str = "") -> Split:
    """Images (N, C, *sizes), (N, *sizes, C) or (N, *sizes) and labels (N,), checked.

    `labels_where` names the labels where they lie elsewhere than the images.

    Raises:
        UsageError: a shape, type or value that is none of images or labels; says where.
    """
    pixels = as_images(images, target, where)
    numbers = as_labels(labels, labels_where or where)
    if len(pixels) != len(numbers):
        raise UsageError(f"{where}: {len(pixels)} images, but {len(numbers)} labels")
    return Split(pixels, numbers)


def as_images(values: Any, target: Target, where: str) -> Tensor:
    """uint8, or float32 of finite numbers; (N, C, *sizes).

    Raises:
        UsageError: they are neither, or the axes are not those of images.
    """
    array = _as_bytes_or_floats(_array(values), where)
    return _channels_first(torch.from_numpy(array), target, where)


def as_labels(values: Any, where: str) -> Tensor:
    """int64 (N,), counted from 0.

    Raises:
        UsageError: they are something else.
    """
    array = _array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise UsageError(
            f"{where}: labels are whole numbers of shape (N,), counted from 0; "
            f"received {array.dtype} {array.shape}"
        )
    array = array.astype(np.int64)
    if len(array) and array.min() < 0:
        raise UsageError(f"{where}: label {array.min()} is below 0; classes count from 0")
    return torch.from_numpy(array)


def _array(values: Any) -> np.ndarray[Any, Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _as_bytes_or_floats(array: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    kind = array.dtype.kind
    if kind == "f":
        return _finite(array, where)
    if kind == "b":
        return array.astype(np.uint8) * 255
    if kind not in "ui":
        raise UsageError(f"{where}: images are uint8 or float32; received {array.dtype}")
    if array.dtype != np.uint8 and array.size and (array.min() < 0 or array.max() > 255):
        raise UsageError(
            f"{where}: whole numbers are pixels from 0 to 255; received {array.dtype} from "
            f"{array.min()} to {array.max()}; make them uint8 or float32"
        )
    array = np.ascontiguousarray(array, dtype=np.uint8)
    return array if array.flags.writeable else array.copy()


def _finite(array: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(array, dtype=np.float32)
    if floats.size and not np.isfinite([floats.min(), floats.max()]).all():
        bad = ~np.isfinite(floats.reshape(len(floats), -1)).all(axis=1)
        raise UsageError(
            f"{where}: {bad.sum()} of {len(floats)} images hold a number that is not finite "
            f"(NaN or infinite, as float32); the first is image {bad.argmax()}"
        )
    return floats if floats.flags.writeable else floats.copy()


def _channels_first(images: Tensor, target: Target, where: str) -> Tensor:
    """(N, C, *sizes); the axis of channels is found by the network's shape."""
    shape, axes = target.shape, len(target.shape)
    if images.dim() == axes and axes > 1:
        return images.unsqueeze(1)
    if images.dim() != axes + 1:
        raise UsageError(
            f"{where}: images are of shape {('N', *shape)}, or (N, …, {shape[0]}); "
            f"received {tuple(images.shape)}".replace("'", "")
        )
    if axes == 1 or tuple(images.shape[1:]) == shape:
        return images
    last = (images.shape[-1], *images.shape[1:-1])
    counts = {shape[0], 1, 2, 3, 4}
    if last == shape or (images.shape[1] not in counts and images.shape[-1] in counts):
        return images.movedim(-1, 1).contiguous()
    return images
