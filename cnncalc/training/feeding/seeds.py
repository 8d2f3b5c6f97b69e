"""What is random in a run, as a function of its seed and of the step or epoch.

So a run that is resumed draws what one that was never interrupted would have drawn.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b

import torch


class Draws(IntEnum):
    """What numbers are drawn for: each has a stream of its own. A value never changes."""

    ORDER = 0
    """Of the samples, by epoch."""
    AUGMENTATION = 1
    """By step, on the device."""
    MIXING = 2
    """Which images are mixed and how much, by step, on the host."""
    MODEL = 3
    """Dropout and its like: once, as the run begins. Checkpoints hold the state."""
    STREAM = 4
    """What data draw that are made when they are read, by the first step of an epoch's rest."""

    def seed(self, seed: int, *when: int) -> int:
        """The seed of these numbers, of a run's, at a step or in an epoch.

        63 bits of a hash, so that neighbours share nothing.
        """
        text = ",".join(map(str, (seed, *when, self.value))).encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1

    def generator(self, seed: int, *when: int) -> torch.Generator:
        """A source of these numbers on the CPU."""
        return torch.Generator().manual_seed(self.seed(seed, *when))


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of an epoch's samples: a permutation that (seed, epoch) alone decide."""
    return torch.randperm(count, generator=Draws.ORDER.generator(seed, epoch))
