"""What a network takes, and images in memory made to fit it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Split, Stream
from cnncalc.wording import times

_CHUNK = 1024


class Target(NamedTuple):
    """The network's side: the shape of a sample and the number of outputs."""

    shape: tuple[int, ...]
    outputs: int
    resize: bool = True

    @property
    def bytes(self) -> int:
        """Of one image as uint8."""
        return math.prod(self.shape)


def check_shape(name: str, shape: tuple[int, ...], target: Target) -> None:
    """Whether samples of that shape can be made to fit.

    Raises:
        UsageError: they cannot; says what to change.
    """
    if shape == target.shape:
        return
    own, wanted = times(shape), times(target.shape)
    if not all(shape):
        raise UsageError(f"{name} has samples of shape {own}, which hold nothing")
    if len(shape) != len(target.shape):
        raise UsageError(
            f"{name} has samples of shape {own}, the network takes {wanted}",
            advice=f"change the network's input, --input {own}",
        )
    if shape[0] != target.shape[0] and not _repeats(shape, target.shape):
        raise UsageError(
            f"{name} has {counted(shape[0], 'channel', 'channels')}, the network takes"
            f" {target.shape[0]}",
            advice=f"--input {own}",
        )
    if shape[1:] == target.shape[1:]:
        return
    if len(shape) != 3:
        raise UsageError(
            f"{name} has samples of shape {own}, the network takes {wanted}, and only images with "
            "two axes are resized",
            advice=f"--input {own}",
        )
    if not target.resize:
        raise UsageError(
            f"{name} has images of {times(shape[1:])}, the network takes {times(target.shape[1:])}",
            advice=f"set resize: auto, or --input {times((target.shape[0], *shape[1:]))}",
        )


def counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _repeats(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether grey is to become RGB."""
    return len(shape) == 3 and shape[0] == 1 and wanted[0] == 3


def fit(images: Tensor, target: Target) -> Tensor:
    """(N, C, H, W) that `check_shape` let pass -> (N, *target.shape), the same dtype.

    Bilinear with antialiasing; grey is repeated for RGB.
    """
    if tuple(images.shape[1:]) == target.shape:
        return images
    if tuple(images.shape[2:]) == target.shape[1:]:
        return images.repeat(1, 3, 1, 1)
    fitted = torch.empty((len(images), *target.shape), dtype=images.dtype)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        size = target.shape[1:]
        fitted[start : start + _CHUNK] = F.interpolate(chunk, size, mode="bilinear", antialias=True)
    return fitted


class FittedStream(Stream):
    """Images in memory that would be too large once resized: each is fitted when asked for."""

    def __init__(self, split: Split, target: Target) -> None:
        self.labels = split.labels
        self._split = split
        self._target = target

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = fit(self._split.images[index].unsqueeze(0), self._target)[0]
        return image, int(self.labels[index])

    def subset(self, indices: Tensor) -> FittedStream:
        return FittedStream(self._split.subset(indices), self._target)
