"""Random images and labels of any shape, for timing."""

from __future__ import annotations

import numpy as np
import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.dataset import Source, Split
from cnncalc.training.data.fitting.target import Target
from cnncalc.training.data.readers.named import DataSource, Place
from cnncalc.wording import times

_MOST = 10_000
_BYTES = 2**29
"""Unless a number is asked for, as many images as these hold, and _MOST at most."""


def read(target: Target, samples: tuple[int, int] | None, seed: int, memory_limit: int) -> Source:
    """`samples` images to train on and to test on, the classes in equal shares.

    Raises:
        UsageError: there are fewer images than classes, or more than fit.
    """
    train = min(_MOST, max(_BYTES // target.bytes, target.outputs))
    counts = samples or (train, max(train // 5, 1))
    if counts[0] < target.outputs or counts[1] < 0:
        least = f"at least one image to train on for each of {target.outputs} classes"
        raise UsageError(f"synthetic takes {least}; received {counts[0]} and {counts[1]}")
    if sum(counts) * target.bytes > memory_limit:
        raise UsageError(
            f"synthetic: {sum(counts):,} images of {times(target.shape)} are over the memory limit "
            f"of {memory_limit:,} bytes; take fewer samples"
        )
    generator = np.random.default_rng(seed)
    splits = [
        Split(
            torch.from_numpy(generator.integers(0, 256, (count, *target.shape), dtype=np.uint8)),
            torch.from_numpy(generator.permutation(count) % target.outputs),
        )
        for count in counts
    ]
    classes = tuple(map(str, range(target.outputs)))
    return Source("synthetic", classes, splits[0], test=splits[1] if counts[1] else None)


DATA_SETS = (
    DataSource(
        "synthetic",
        "random images and labels of the network's shape, for timing",
        "made",
        Place.NONE,
        lambda wanted: read(wanted.target, wanted.samples, wanted.seed, wanted.memory_limit),
    ),
)
