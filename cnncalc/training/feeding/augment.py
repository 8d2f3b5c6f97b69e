"""Augmentation of whole batches on the device: each image by itself, from one seeded generator.

With a `share`, the images are one process's of a batch: random numbers are drawn for the whole of
it, so that an image gets the same ones wherever it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom

if TYPE_CHECKING:
    from random import Random

    from torch import Generator, Tensor

    from cnncalc.spec.train_section import AugmentRecipe
    from cnncalc.training.processes.shares import Share

GREY = (0.299, 0.587, 0.114)
"""Luminance of red, green and blue: ITU-R BT.601."""


def augment_pixels(
    x: Tensor, recipe: AugmentRecipe, generator: Generator, share: Share | None = None
) -> Tensor:
    """Crops and flips of raw images, before they are scaled: (N, C, H, W), unchanged in shape."""
    if recipe.crop:
        x = random_crop(x, recipe.crop, generator, share)
    if recipe.flip:
        x = random_flip(x, generator, share)
    return x


def _uniform(x: Tensor, generator: Generator, share: Share | None, *shape: int) -> Tensor:
    """(N, *shape) numbers from 0 to 1 for the images x."""
    count = len(x) if share is None else share.whole
    drawn = torch.rand(count, *shape, generator=generator, device=x.device)
    return drawn if share is None else share.of(drawn)


def _below(limit: int, x: Tensor, generator: Generator, share: Share | None) -> Tensor:
    """(N, 1) whole numbers from 0 to `limit` − 1 for the images x."""
    count = len(x) if share is None else share.whole
    drawn = torch.randint(limit, (count, 1), generator=generator, device=x.device)
    return drawn if share is None else share.of(drawn)


def random_crop(
    x: Tensor, padding: int, generator: Generator, share: Share | None = None
) -> Tensor:
    """Zeros around each image, and of that a window of its size at a random place."""
    n, _, h, w = x.shape
    padded = F.pad(x, (padding,) * 4)
    rows, columns = (
        _below(2 * padding + 1, x, generator, share) + torch.arange(size, device=x.device)
        for size in (h, w)
    )
    index = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def random_flip(x: Tensor, generator: Generator, share: Share | None = None) -> Tensor:
    """Half of the images mirrored left to right."""
    flipped = _uniform(x, generator, share) < 0.5
    return torch.where(flipped[:, None, None, None], x.flip(-1), x)


def jitter(x: Tensor, strength: float, generator: Generator, share: Share | None = None) -> Tensor:
    """Brightness, contrast and saturation times a factor from 1 − strength to 1 + strength."""

    def factor() -> Tensor:
        return 1 + strength * (2 * _uniform(x, generator, share, 1, 1, 1) - 1)

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


def cutout(x: Tensor, side: int, generator: Generator, share: Share | None = None) -> Tensor:
    """A square of zeros in each normalised image; its middle anywhere. DeVries & Taylor 2017."""
    inside = []
    for size in x.shape[2:]:
        middle = _below(size, x, generator, share)
        place = torch.arange(size, device=x.device)
        inside.append((place >= middle - side // 2) & (place < middle - side // 2 + side))
    blank = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(blank, 0.0)


def mix(
    x: Tensor, targets: Tensor, recipe: AugmentRecipe, generator: Generator, host: Random
) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix of a batch with itself; targets are (N, classes) shares that sum to 1.

    With both, each batch takes one of the two at random. Zhang et al. 2018; Yun et al. 2019.
    """
    kind = host.choice([kind for kind in ("mixup", "cutmix") if getattr(recipe, kind) > 0])
    alpha = getattr(recipe, kind)
    share = host.betavariate(alpha, alpha)
    other = torch.randperm(len(x), generator=generator, device=x.device)
    if kind == "mixup":
        x = share * x + (1 - share) * x[other]
    else:
        x, share = _paste(x, x[other], share, host)
    return x, share * targets + (1 - share) * targets[other]


def _paste(x: Tensor, other: Tensor, share: float, host: Random) -> tuple[Tensor, float]:
    """A box of `other` in x, of about 1 − share of its area; and the share of x that is left."""
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
