"""Batches: of data that live on the training device as whole tensors, or that stream onto it.

Everything random about a batch follows from the seed and its epoch or step (`feeding/seeds`): a run
that is resumed, in the middle of an epoch too, sees the same batches as one never interrupted.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch.utils.data import DataLoader

from cnncalc.cores import cores
from cnncalc.training.data.dataset import Split, Stream
from cnncalc.training.feeding.augment import Chance, Stage, chosen, mix
from cnncalc.training.feeding.seeds import Draws, epoch_order
from cnncalc.training.feeding.workers import leave_signals, read_ahead
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from torch import Tensor

    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.processes.shares import Share

PIXEL = 255.0
MAX_WORKERS = 8
"""Processes that decode a stream."""
GATHER = 2**18
"""Numbers gathered at once where batches are small, so that few calls serve many steps."""


class Batch(NamedTuple):
    """Normalised images (N, C, H, W), their classes (N,), and what the loss is to compare with."""

    images: Tensor
    labels: Tensor
    targets: Tensor
    """The classes, or (N, classes) shares where images are mixed."""
    share: Share | None = None
    """What these are of the batch, where several processes share it."""

    @property
    def size(self) -> int:
        """Of the whole batch."""
        return self.share.whole if self.share else len(self.labels)


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

    def __call__(self, raw: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(N, C, *sizes) of uint8 or floats -> (N, *input_shape) of float32.

        `change` is of images scaled to 0..1.
        """
        x = raw.to(torch.float32, memory_format=self.layout(raw))
        scale = 1 / PIXEL if raw.dtype == torch.uint8 else 1.0
        if change is not None:
            x, scale = change(x * scale), 1.0
        factor, shift = self._constants(x, scale)
        x = torch.addcmul(shift, x, factor)
        return x if x.shape[1:] == self.input_shape else x.reshape(-1, *self.input_shape)

    def layout(self, x: Tensor) -> torch.memory_format:
        return self.memory_format if x.dim() == 4 else torch.contiguous_format

    @cache  # noqa: B019 - one a run
    def _of(self, device: torch.device, axes: int, scale: float) -> tuple[Tensor, Tensor]:
        shape = (-1, *(1,) * axes)
        factor = (scale / self.std).view(shape).to(device)
        return factor, (-self.mean / self.std).view(shape).to(device)

    def _constants(self, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return self._of(x.device, x.dim() - 2, scale)


def streamed(
    stream: Stream, parts: Sequence[Tensor], device: torch.device, seed: int = 0
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """The samples of each part, decoded by worker processes ahead of their turn.

    `seed` is for data that draw random numbers themselves.
    """
    loader: DataLoader[Any] = DataLoader(
        stream,
        batch_sampler=[part.tolist() for part in parts],
        num_workers=max(min(cores() // here().local_count, MAX_WORKERS), 1),
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),  # else it draws from the model's numbers
        worker_init_fn=leave_signals,
    )
    for images, labels in read_ahead(loader):
        yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


class TrainingBatches:
    """The training batches of a split: gathered, augmented and normalised whole, on the device.

    The last, short batch of an epoch is trained on as well.
    """

    def __init__(
        self,
        split: Split | Stream,
        recipe: Recipe,
        prepare: Preparer,
        classes: int,
        device: torch.device,
    ) -> None:
        self.split = split
        self.recipe = recipe
        self.prepare = prepare
        self.classes = classes
        self.device = device
        self.generator = torch.Generator(self.device)
        self.chosen = chosen(recipe.augment)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.recipe.steps_per_epoch(len(self.split.labels))

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch from batch `start` on; to be closed where not all are taken."""
        order = epoch_order(len(self.split.labels), self.recipe.seed, epoch)
        if isinstance(self.split, Split):
            order = order.to(self.split.images.device)
        if isinstance(self.split, Split) and not any(self.chosen.values()) and here().count == 1:
            yield from self._plain(self.split, order, start)
            return
        parts = torch.split(order, self.recipe.batch_size)[start:]
        step = epoch * len(self) + start
        if here().count > 1:
            yield from self._shared(parts, step)
            return
        for number, (images, labels) in enumerate(self._raw(parts, step), step):
            yield self.batch(images, labels, number)

    def sample(self, size: int) -> Batch:
        """`size` images, treated as those of the first step."""
        index = torch.arange(size) % len(self.split.labels)
        return self.batch(*next(self._raw([index], 0)), 0)

    def _shared(self, parts: Sequence[Tensor], step: int) -> Iterator[Batch]:
        """What this process has of each batch; that may be no sample at all."""
        shares = [here().share(len(part), self.recipe.accumulate) for part in parts]
        # A stream gives no batch without a sample: it reads one, which is left out.
        mine = (share.of(part) for share, part in zip(shares, parts, strict=True))
        read = [own if len(own) else part[:1] for own, part in zip(mine, parts, strict=True)]
        for number, ((images, labels), share) in enumerate(
            zip(self._raw(read, step), shares, strict=True), step
        ):
            count = sum(share.sizes)
            yield self.batch(images[:count], labels[:count], number, share)

    def _plain(self, split: Split, order: Tensor, start: int) -> Iterator[Batch]:
        """Batches that are only normalised, several at once where they are small."""
        size = self.recipe.batch_size
        count = max(GATHER // (size * split.images[0].numel()), 1)
        # Groups are the same wherever an epoch is resumed, and so are the last bits of the numbers.
        for group, part in enumerate(torch.split(order, count * size)[start // count :]):
            images, labels = self._gathered(split, part)
            ready = zip(
                *(torch.split(x, size) for x in (self.prepare(images), labels)), strict=True
            )
            for x, y in islice(ready, 0 if group else start % count, None):
                yield Batch(x, y, y)

    def _raw(self, parts: Sequence[Tensor], step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images as they are, and labels, on the device; the first are those of step `step`."""
        if isinstance(self.split, Stream):
            seed = Draws.STREAM.seed(self.recipe.seed, step)
            yield from streamed(self.split, parts, self.device, seed)
            return
        for part in parts:
            yield self._gathered(self.split, part)

    def _gathered(self, split: Split, part: Tensor) -> tuple[Tensor, Tensor]:
        index = part.to(split.images.device, non_blocking=True)
        images, labels = (values.index_select(0, index) for values in split)
        return (
            images.to(self.device, non_blocking=True),
            labels.to(self.device, non_blocking=True),
        )

    def batch(self, images: Tensor, labels: Tensor, step: int, share: Share | None = None) -> Batch:
        """Raw images and their labels, augmented as step `step` does."""
        if not any(self.chosen.values()):
            return Batch(self.prepare(images), labels, labels, share)
        self.generator.manual_seed(Draws.AUGMENTATION.seed(self.recipe.seed, step))
        chance = Chance(self.generator, share)

        def augmented(x: Tensor, stage: Stage) -> Tensor:
            for each, value in self.chosen[stage]:
                x = each.apply(x, value, chance)
            return x

        scaled = partial(augmented, stage=Stage.SCALED) if self.chosen[Stage.SCALED] else None
        x = self.prepare(augmented(images, Stage.RAW), scaled)
        x = augmented(x, Stage.NORMALISED)
        kinds = self.chosen[Stage.MIXED]
        if not kinds:
            return Batch(x, labels, labels, share)
        host = Random(Draws.MIXING.seed(self.recipe.seed, step))  # noqa: S311 - no secret
        targets = F.one_hot(labels, self.classes).to(x.dtype)
        if share is None:
            x, targets = mix(x, targets, kinds, self.generator, host)
            return Batch(x, labels, targets)
        # An image is mixed with one that may be another process's.
        x, targets = here().whole(x, share), here().whole(targets, share)
        x, targets = map(share.of, mix(x, targets, kinds, self.generator, host))
        return Batch(x.contiguous(memory_format=self.prepare.layout(x)), labels, targets, share)
