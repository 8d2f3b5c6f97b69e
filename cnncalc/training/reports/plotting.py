"""Pictures of runs: curves, a confusion matrix, the filters of the first layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc.atomic_files import draft_of
from cnncalc.errors import UsageError, did_you_mean, torch_is_missing
from cnncalc.runs.records import metrics_of
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from torch import Tensor

KINDS = ("curves", "confusion", "filters")
ENDINGS = (".png", ".svg")
BETWEEN = (0.75, 0.85, 1.0)
"""The colour between two filters: no grey, so that it is none of theirs."""


def plot(
    runs: Sequence[str | os.PathLike[str]],
    file: str | os.PathLike[str],
    what: str = "curves",
    *,
    weights: str | None = None,
) -> None:
    """Draws runs into a .png or .svg: curves of one or several, confusion or filters of one.

    `weights`, of confusion and filters, are best or last; the best if there are such.

    Raises:
        UsageError: there is nothing to draw, or matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    path = Path(file)
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: a picture ends in {' or '.join(ENDINGS)}")
    if what not in KINDS:
        raise UsageError(f"there is no plot {what!r}; {did_you_mean(what, KINDS)}")
    if what != "curves" and len(runs) != 1:
        raise UsageError(f"{what} are drawn of one run; received {len(runs)}")
    if what == "curves" and weights is not None:
        raise UsageError("curves are drawn from the metrics, whatever the weights")
    try:
        from cnncalc.training.reports.figures import save
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise UsageError("plot needs matplotlib: pip install matplotlib") from None
    if what == "curves":
        figure = _curves([Path(run) for run in runs])
    else:
        draw: Callable[..., Figure] = _confusion if what == "confusion" else _filters
        try:
            figure = draw(Path(runs[0]), weights)
        except ModuleNotFoundError as error:
            raise torch_is_missing(error, f"a plot of {what}") from None
    with draft_of(path) as draft:
        save(figure, draft)


def _curves(runs: Sequence[Path]) -> Figure:
    from cnncalc.training.reports.figures import curves

    return curves(metrics_of(runs))


def _confusion(run: Path, weights: str | None) -> Figure:
    from cnncalc.training.reports.evaluate import evaluate
    from cnncalc.training.reports.figures import confusion

    found = evaluate(run, weights=weights)
    title = f"{found.network} on {found.data}, {found.split}: {found.accuracy:.2%}"
    return confusion(title, found.classes, found.confusion)


def _filters(run: Path, weights: str | None) -> Figure:
    """Each filter scaled by itself to span black to white; those of 3 channels in colour."""
    from torch import nn

    from cnncalc.training.reports.figures import picture
    from cnncalc.training.run.saved import open_run

    saved = open_run(run, weights)
    layers = saved.model.named_modules()
    found = ((name, each) for name, each in layers if isinstance(each, nn.Conv2d))
    name, layer = next(found, ("", None))
    if layer is None:
        raise UsageError(f"{saved.graph.name} has no convolution of images, whose filters are such")
    kernels = layer.weight.detach().float()
    count, channels, *sizes = kernels.shape
    if channels not in (1, 3):
        raise UsageError(f"{name} sees {channels} channels; a filter of 1 or 3 can be shown")
    low, high = kernels.amin((1, 2, 3), keepdim=True), kernels.amax((1, 2, 3), keepdim=True)
    images = ((kernels - low) / (high - low).clamp(min=1e-12)).expand(-1, 3, -1, -1)
    size = write_shape((channels, *sizes))
    return picture(f"{saved.graph.name}, {name}: {count} filters of {size}", mosaic(images).numpy())


def mosaic(images: Tensor) -> Tensor:
    """Colour images (N, 3, h, w) -> one of them all, (height, width, 3), lines between them."""
    count, _, h, w = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    whole = images.new_tensor(BETWEEN).repeat(rows * (h + 1) - 1, columns * (w + 1) - 1, 1)
    for place, image in enumerate(images.permute(0, 2, 3, 1)):
        top, left = place // columns * (h + 1), place % columns * (w + 1)
        whole[top : top + h, left : left + w] = image
    return whole
