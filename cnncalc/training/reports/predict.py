"""The labels that a run gives image files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from cnncalc.errors import UsageError
from cnncalc.training.data.fitting.images import decode
from cnncalc.training.data.fitting.target import Target
from cnncalc.training.device import find_device
from cnncalc.training.feeding.batches import Preparer
from cnncalc.training.run.saved import open_run
from cnncalc.training.step.losses import probabilities
from cnncalc.wording import times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cnncalc.training.run.result import Run

AT_ONCE = 100
"""Image files that are labelled at once."""


class Guess(NamedTuple):
    """A label and its probability."""

    label: str
    probability: float


class Prediction(NamedTuple):
    """What a run says of an image, the most probable label first."""

    image: str
    guesses: tuple[Guess, ...]


@dataclass(frozen=True)
class Predictions:
    """What a run says of several images."""

    run: Path
    weights: str
    """best or last."""
    step: int
    images: tuple[Prediction, ...]
    problems: tuple[str, ...] = ()
    """A message on each newer checkpoint, which is damaged."""


def predict(
    run: Run | str | os.PathLike[str],
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    weights: str | None = None,
    device: str = "auto",
) -> Predictions:
    """The `top` most probable labels of each image file, decoded and resized as in training.

    `images` is one path, or several.

    Raises:
        UsageError: this is no run, it does not take images, or one cannot be read.
    """
    if top < 1:
        raise UsageError(f"--top must be at least 1; received {top}")
    if isinstance(images, str | os.PathLike):
        images = [images]
    place = find_device(device)
    saved = open_run(run, weights)
    shape, recipe = saved.graph.input_shape, saved.network.recipe(saved.settings)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError(f"{saved.graph.name} takes {times(shape)}, which no image file holds")
    classes = saved.data.classes
    target = Target(shape, len(classes), recipe.data.resize == "auto")
    prepare = Preparer(saved.data.mean, saved.data.std, shape, torch.contiguous_format)
    model = saved.model.to(place)
    found: list[Prediction] = []
    for start in range(0, len(images), AT_ONCE):
        paths = [os.fspath(path) for path in images[start : start + AT_ONCE]]
        raw = torch.stack([decode(path, target) for path in paths]).to(place)
        with torch.inference_mode():
            shares = probabilities(model(prepare(raw)).double(), recipe.loss.name)
        best = shares.topk(min(top, len(classes)), 1)
        for path, values, labels in zip(
            paths, best.values.tolist(), best.indices.tolist(), strict=True
        ):
            guesses = (
                Guess(classes[label], value) for label, value in zip(labels, values, strict=True)
            )
            found.append(Prediction(path, tuple(guesses)))
    return Predictions(saved.path, saved.weights, saved.step, tuple(found), saved.problems)
