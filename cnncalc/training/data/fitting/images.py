"""Image files: decoded, oriented as a viewer shows them, and resized, by Pillow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from cnncalc.cores import cores
from cnncalc.errors import CorruptImageError, ImageError, UsageError
from cnncalc.training.data.dataset import Files, Stream
from cnncalc.training.data.fitting.statistics import evenly_spaced
from cnncalc.training.data.fitting.target import Target
from cnncalc.unpacking import check
from cnncalc.wording import times

_MODES = {1: "L", 3: "RGB"}
_THREADS = min(8, cores())
_SAMPLE = 64
_COLOURED = 32
"""Channels that differ by more levels than JPEG makes of grey show colour."""
_NAMED = 3


def decode(path: str, target: Target) -> Tensor:
    """The image as uint8 `target.shape`, (1, H, W) or (3, H, W); raises as `_pixels` does."""
    return torch.from_numpy(np.ascontiguousarray(_pixels(path, target)))


def _pixels(path: str, target: Target) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The image as a view (C, H, W).

    Raises:
        CorruptImageError: it cannot be decoded.
        ImageError: it cannot be opened, or is of another size and is not to be resized.
    """
    image = _open(path, _MODES[target.shape[0]], target.shape[2:0:-1] if target.resize else None)
    if image.size != target.shape[2:0:-1]:
        own = (target.shape[0], *image.size[::-1])
        raise ImageError(
            f"{path} is an image of {times(own[1:])}, the network takes {times(target.shape[1:])}:"
            f" set resize: auto, or --input {times(own)}"
        )
    pixels = np.array(image)
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]


def _open(path: str, mode: str, size: tuple[int, ...] | None) -> Image.Image:
    """Decoded in `mode` and, if there is a size (width, height), resized."""
    try:
        with Image.open(path) as opened:
            if size:
                opened.draft(None, (2 * max(size), 2 * max(size)))
            check(path, opened.width * opened.height * len(opened.getbands()))
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) != 1
            image = _converted(ImageOps.exif_transpose(opened) if turned else opened, mode)
            if size and image.size != size:
                image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
            image.load()
            return image
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged images fail in every way there is
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"{path}: cannot be read: {error.strerror}") from None
        if isinstance(error, UsageError):
            raise CorruptImageError(str(error)) from None
        text = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise CorruptImageError(
            f"{path}: a corrupt image: {text or type(error).__name__}"
        ) from None


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {image.mode}) have no range; use npz")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


class Decoded(NamedTuple):
    """Files that were read, and those that could not be."""

    images: Tensor | None
    """uint8 (N, C, H, W), unless they were only checked."""
    files: Files
    """Those that could be decoded, in order."""
    corrupt: tuple[str, ...]
    """Paths, in order."""


def decode_all(files: Files, target: Target, *, skip: bool, keep: bool = True) -> Decoded:
    """Decodes every file, with a few threads.

    Raises:
        CorruptImageError: some cannot be decoded, and `skip` is not set; names and counts them.
        ImageError: one cannot be opened, or is of another size and is not to be resized.
    """
    count = len(files.paths)
    images = np.empty((count, *target.shape), np.uint8) if keep else None

    def read(index: int) -> str:
        try:
            pixels = _pixels(files.paths[index], target)
        except CorruptImageError as error:
            return str(error)
        if images is not None:
            images[index] = pixels
        return ""

    pool = ThreadPoolExecutor(_THREADS)
    try:
        errors = list(pool.map(read, range(count)))
    finally:
        pool.shutdown(cancel_futures=True)
    corrupt = [path for path, error in zip(files.paths, errors, strict=True) if error]
    decoded = None if images is None else torch.from_numpy(images)
    if not corrupt:
        return Decoded(decoded, files, ())
    if not skip:
        raise CorruptImageError(_counted([error for error in errors if error], count))
    good = torch.tensor([index for index, error in enumerate(errors) if not error]).long()
    return Decoded(None if decoded is None else decoded[good], files.subset(good), tuple(corrupt))


def _counted(errors: list[str], count: int) -> str:
    advice = "--set train.data.corrupt=skip leaves such images out"
    if len(errors) == 1:
        return f"{errors[0]}; {advice}"
    shown = "; ".join(errors[:_NAMED]) + ("; …" if len(errors) > _NAMED else "")
    return f"{len(errors)} of {count} images are corrupt; {advice}: {shown}"


def check_channels(name: str, files: Files, target: Target) -> None:
    """Colour is not dropped unasked: a sample of the files is looked at.

    Raises:
        UsageError: the network takes grey images and there are coloured ones, or takes neither
            one channel nor three.
    """
    if len(target.shape) != 3 or target.shape[0] not in _MODES:
        raise UsageError(
            f"{name} holds images of 1 or 3 channels, the network takes {times(target.shape)}",
            advice="--input 3x224x224, for example, or use npz",
        )
    if target.shape[0] != 1:
        return
    for index in evenly_spaced(len(files.paths), _SAMPLE):
        try:
            pixels = np.asarray(_open(files.paths[index], "RGB", None)).astype(np.int16)
        except CorruptImageError:
            continue
        if np.ptp(pixels, axis=2).max() > _COLOURED:
            sizes = times((3, *target.shape[1:]))
            raise UsageError(
                f"{files.paths[index]} is in colour, the network takes 1 channel",
                advice=f"--input {sizes}",
            )


class FileStream(Stream):
    """Images that are decoded when they are asked for."""

    def __init__(self, files: Files, target: Target) -> None:
        self.labels = files.labels
        self._files = files
        self._target = target

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            return decode(self._files.paths[index], self._target), int(self.labels[index])
        except CorruptImageError as error:
            advice = "mend it and resume, or begin anew with --set train.data.corrupt=skip"
            raise CorruptImageError(f"{error}; {advice}") from None

    def subset(self, indices: Tensor) -> FileStream:
        return FileStream(self._files.subset(indices), self._target)

    def decoded(self, indices: Tensor) -> Tensor:
        """Several images at once, (N, C, H, W)."""
        images = decode_all(self._files.subset(indices), self._target, skip=False).images
        assert images is not None
        return images
