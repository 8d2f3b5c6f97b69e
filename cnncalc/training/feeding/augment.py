"""Augmentation of whole batches on the device: each image by itself, from one seeded generator.

A function for each field of `AugmentRecipe`, of its name; those of a stage are done in the order
of the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom

if TYPE_CHECKING:
    from random import Random

    from torch import Generator, Tensor

    from cnncalc.spec.train_section import AugmentRecipe
    from cnncalc.training.processes.shares import Share

GREY = (0.299, 0.587, 0.114)
"""Luminance of red, green and blue: ITU-R BT.601."""

Shape = tuple[int, ...]


class Stage(Enum):
    """When an augmentation is done, and with what it is called."""

    RAW = "as they were read, bytes or floats"
    SCALED = "from 0 to 1"
    NORMALISED = "of mean 0 and deviation 1"
    MIXED = "with the images of another order of the batch"


class Augmentation(NamedTuple):
    """How a field of the recipe changes images.

    `apply` takes images (N, C, H, W), the field's value and `Chance`, and gives as many of the same
    shape. Of the stage MIXED it takes images, others, the share of the former (0 to 1) and a source
    of numbers for the whole batch, and gives the images and the share that they have.
    """

    apply: Callable[..., Any]
    stage: Stage
    of_images: bool = True
    """Whether it knows rows and columns; else it is for any data."""
    complaint: Callable[[Any, Shape], str | None] = lambda *_: None
    """What is wrong with a value for images (C, H, W), if anything is."""


AUGMENTATIONS: dict[str, Augmentation] = {}
"""By the names of their fields."""


def augmentation(stage: Stage, **about: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function; `about` are further fields of `Augmentation`."""

    def of(apply: Callable[..., Any]) -> Callable[..., Any]:
        AUGMENTATIONS[apply.__name__] = Augmentation(apply, stage, **about)
        return apply

    return of


def chosen(recipe: AugmentRecipe) -> dict[Stage, list[tuple[Augmentation, Any]]]:
    """What a recipe asks for, with its values, by stages."""
    values = {name: getattr(recipe, name) for name in type(recipe).model_fields}
    asked = [(AUGMENTATIONS[name], value) for name, value in values.items() if value]
    return {stage: [each for each in asked if each[0].stage is stage] for stage in Stage}


@dataclass(frozen=True)
class Chance:
    """Random numbers for each image of a batch.

    With a `share`, the images are one process's of it: numbers are drawn for the whole batch, so
    that an image gets the same ones wherever it is.
    """

    generator: Generator
    share: Share | None = None

    def uniform(self, x: Tensor, *shape: int) -> Tensor:
        """(N, *shape) numbers from 0 to 1 for the images x."""
        count = len(x) if self.share is None else self.share.whole
        return self._of(torch.rand(count, *shape, generator=self.generator, device=x.device))

    def below(self, limit: int, x: Tensor) -> Tensor:
        """(N, 1) whole numbers from 0 to `limit` − 1 for the images x."""
        count = len(x) if self.share is None else self.share.whole
        return self._of(torch.randint(limit, (count, 1), generator=self.generator, device=x.device))

    def _of(self, drawn: Tensor) -> Tensor:
        return drawn if self.share is None else self.share.of(drawn)


def mix(
    x: Tensor,
    targets: Tensor,
    kinds: list[tuple[Augmentation, Any]],
    generator: Generator,
    host: Random,
) -> tuple[Tensor, Tensor]:
    """A batch mixed with itself; targets are (N, classes) shares that sum to 1.

    Of several kinds, each with the alpha of its beta law, a batch takes one at random.
    """
    kind, alpha = host.choice(kinds)
    share = host.betavariate(alpha, alpha)
    other = torch.randperm(len(x), generator=generator, device=x.device)
    x, share = kind.apply(x, x[other], share, host)
    return x, share * targets + (1 - share) * targets[other]


@augmentation(
    Stage.RAW,
    complaint=lambda padding, shape: (
        "must be smaller than the image" if padding >= min(shape[1:]) else None
    ),
)
def crop(x: Tensor, padding: int, chance: Chance) -> Tensor:
    """Zeros around each image, and of that a window of its size at a random place."""
    n, _, h, w = x.shape
    padded = F.pad(x, (padding,) * 4)
    rows, columns = (
        chance.below(2 * padding + 1, x) + torch.arange(size, device=x.device) for size in (h, w)
    )
    index = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


@augmentation(Stage.RAW)
def flip(x: Tensor, _: bool, chance: Chance) -> Tensor:
    """Half of the images mirrored left to right."""
    flipped = chance.uniform(x) < 0.5
    return torch.where(flipped[:, None, None, None], x.flip(-1), x)


@augmentation(Stage.SCALED)
def color_jitter(x: Tensor, strength: float, chance: Chance) -> Tensor:
    """Brightness, contrast and saturation times a factor from 1 − strength to 1 + strength."""

    def factor() -> Tensor:
        return 1 + strength * (2 * chance.uniform(x, 1, 1, 1) - 1)

    x = x * factor()
    grey = _grey(x) if x.shape[1] == 3 else x
    mean = grey.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * factor()
    if x.shape[1] == 3:
        grey = _grey(x)
        x = grey + (x - grey) * factor()
    return x.clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 1, H, W); by plain numbers, as a tensor of them would have to be sent."""
    red, green, blue = torch.split(x, 1, 1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue


@augmentation(
    Stage.NORMALISED,
    complaint=lambda side, shape: (
        "must not be larger than the image" if side > max(shape[1:]) else None
    ),
)
def cutout(x: Tensor, side: int, chance: Chance) -> Tensor:
    """A square of zeros in each normalised image; its middle anywhere. DeVries & Taylor 2017."""
    inside = []
    for size in x.shape[2:]:
        middle = chance.below(size, x)
        place = torch.arange(size, device=x.device)
        inside.append((place >= middle - side // 2) & (place < middle - side // 2 + side))
    blank = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(blank, 0.0)


@augmentation(Stage.MIXED, of_images=False)
def mixup(x: Tensor, other: Tensor, share: float, _: Random) -> tuple[Tensor, float]:
    """The weighted mean of two images. Zhang et al. 2018."""
    return share * x + (1 - share) * other, share


@augmentation(Stage.MIXED)
def cutmix(x: Tensor, other: Tensor, share: float, host: Random) -> tuple[Tensor, float]:
    """A box of `other` in x, of about 1 − share of its area. Yun et al. 2019."""
    h, w = x.shape[2:]
    side = (1 - share) ** 0.5
    middle = (host.randrange(h), host.randrange(w))
    top, left = (max(m - round(size * side / 2), 0) for m, size in zip(middle, (h, w), strict=True))
    bottom, right = (
        min(m + round(size * side / 2), size) for m, size in zip(middle, (h, w), strict=True)
    )
    x = x.clone()
    x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    return x, 1 - (bottom - top) * (right - left) / (h * w)
