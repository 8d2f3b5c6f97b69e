"""Mean and standard deviation of each channel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnncalc.training.data.dataset import Statistics

_CHUNK = 4096


def measure(images: Tensor) -> Statistics:
    """Of images (N, C, *sizes), to six digits; a channel that never changes has deviation 1."""
    moments = _of_bytes(images) if images.dtype == torch.uint8 else _of_floats(images)
    mean = tuple(float(f"{value:.6g}") for value, _ in moments)
    std = tuple(float(f"{math.sqrt(variance):.6g}") or 1.0 for _, variance in moments)
    return Statistics(mean, std)


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most `count` indices that are spread over `length`."""
    return (
        [position * length // count for position in range(count)]
        if length > count
        else [*range(length)]
    )


def _of_bytes(images: Tensor) -> list[tuple[float, float]]:
    """Mean and variance in units of 255, from the histogram of each channel: exact."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    moments = []
    for channel in range(images.shape[1]):
        histogram = torch.zeros(256, dtype=torch.int64)
        for chunk in torch.split(images, _CHUNK):
            histogram += torch.bincount(chunk[:, channel].reshape(-1), minlength=256)
        weights = histogram / histogram.sum()
        mean = float((weights * levels).sum())
        moments.append((mean, float((weights * (levels - mean).square()).sum())))
    return moments


def _of_floats(images: Tensor) -> list[tuple[float, float]]:
    moments = []
    for channel in range(images.shape[1]):
        count = images[:, channel].numel()
        chunks = torch.split(images, _CHUNK)
        mean = sum(float(chunk[:, channel].double().sum()) for chunk in chunks) / count
        squares = (float((chunk[:, channel].double() - mean).square().sum()) for chunk in chunks)
        moments.append((mean, sum(squares) / count))
    return moments
