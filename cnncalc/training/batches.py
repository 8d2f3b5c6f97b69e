"""Batches of data that live on the training device as whole tensors.

Everything random about a batch follows from (seed, epoch, step): the order of an epoch from
(seed, epoch), augmentation from (seed, step). So a run that is resumed, in the middle of an epoch
too, sees the same batches as one that was never interrupted.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom

from cnncalc.training.augment import augment_pixels, cutout, jitter, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from cnncalc.recipe import Recipe
    from cnncalc.training.data.dataset import Split

PIXEL = 255.0


class Batch(NamedTuple):
    """Normalised images (N, C, H, W), their classes (N,), and what the loss is to compare with."""

    images: Tensor
    labels: Tensor
    targets: Tensor
    """The classes, or (N, classes) shares where images are mixed."""


class Preparer:
    """Raw images of one data set -> what the network takes, on its device.

    uint8 images are scaled to 0..1, then all are brought to mean 0 and deviation 1 by channel.
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        input_shape: tuple[int, ...],
        memory_format: torch.memory_format,
    ) -> None:
        self.mean = torch.tensor(mean)
        self.std = torch.tensor(std)
        self.input_shape = input_shape
        self.memory_format = memory_format

    def __call__(self, raw: Tensor, jitter: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(N, C, *sizes) of uint8 or floats -> (N, *input_shape) of float32.

        `jitter` changes images scaled to 0..1.
        """
        x = raw.to(torch.float32, memory_format=self._layout(raw))
        scale = 1 / PIXEL if raw.dtype == torch.uint8 else 1.0
        if jitter is not None:
            x, scale = jitter(x * scale), 1.0
        factor, shift = self._constants(x, scale)
        x = torch.addcmul(shift, x, factor)
        return x if x.shape[1:] == self.input_shape else x.reshape(-1, *self.input_shape)

    def _layout(self, x: Tensor) -> torch.memory_format:
        return self.memory_format if x.dim() == 4 else torch.contiguous_format

    @cache  # noqa: B019 - one a run
    def _of(self, device: torch.device, axes: int, scale: float) -> tuple[Tensor, Tensor]:
        shape = (-1, *(1,) * axes)
        factor = (scale / self.std).view(shape).to(device)
        return factor, (-self.mean / self.std).view(shape).to(device)

    def _constants(self, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return self._of(x.device, x.dim() - 2, scale)


def epoch_order(count: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    """The order of an epoch's samples: a permutation that (seed, epoch) alone decide."""
    generator = torch.Generator().manual_seed(mixed(seed, epoch, 0))
    return torch.randperm(count, generator=generator).to(device)


def mixed(*numbers: int) -> int:
    """One seed from several numbers, so that neighbours share nothing: 63 bits of a hash."""
    text = ",".join(map(str, numbers)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


class TrainingBatches:
    """The training batches of a resident split: gathered, augmented and normalised whole.

    `rank` and `world` share out each batch over processes: batch b of an epoch is the same set of
    images however many they are. The last, short batch of an epoch is trained on as well.
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        prepare: Preparer,
        classes: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.split = split
        self.recipe = recipe
        self.prepare = prepare
        self.classes = classes
        self.rank, self.world = rank, world
        self.device = split.images.device
        self.generator = torch.Generator(self.device)
        augment = recipe.augment
        self.moves = bool(augment.crop or augment.flip)
        self.mixes = bool(augment.mixup or augment.cutmix)
        self.draws = self.moves or self.mixes or bool(augment.cutout or augment.color_jitter)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.split.labels) // self.recipe.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        order = epoch_order(len(self.split.labels), self.recipe.seed, epoch, self.device)
        parts = order.split(self.recipe.batch_size)
        for number in range(start, len(parts)):
            index = parts[number]
            if self.world > 1:
                index = index[self.rank :: self.world]
            yield self.batch(index, epoch * len(self) + number)

    def batch(self, index: Tensor, step: int) -> Batch:
        """The images of these indices, augmented as step `step` does."""
        images = self.split.images.index_select(0, index)
        labels = self.split.labels.index_select(0, index)
        if not self.draws:
            return Batch(self.prepare(images), labels, labels)
        augment, generator = self.recipe.augment, self.generator
        generator.manual_seed(mixed(self.recipe.seed, step, 1, self.rank))
        if self.moves:
            images = augment_pixels(images, augment, generator)
        color = augment.color_jitter
        x = self.prepare(images, (lambda x: jitter(x, color, generator)) if color else None)
        if augment.cutout:
            x = cutout(x, augment.cutout, generator)
        if not self.mixes:
            return Batch(x, labels, labels)
        host = Random(mixed(self.recipe.seed, step, 2))  # noqa: S311 - no secret
        targets = F.one_hot(labels, self.classes).to(x.dtype)
        x, targets = mix(x, targets, augment, generator, host)
        return Batch(x, labels, targets)
