"""Figures of runs, drawn by matplotlib without its global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cnncalc.render.figures import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

SERIES = (("test", "-"), ("val", "--"), ("train", ":"))
"""A split, as metrics.csv calls it, and its line."""
MOST_LABELS = 20
"""Classes up to which the confusion matrix bears names and counts."""
DPI = 150


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as the ending of the path says, .png or .svg."""
    # An SVG is dated unless told otherwise; a PNG knows no such field.
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    figure.savefig(path, dpi=DPI, metadata=metadata)


def curves(runs: Mapping[str, Sequence[Mapping[str, float | None]]]) -> Figure:
    """Loss and accuracy by epoch: a colour a run, a line of its own for each split."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, quantity in ((left, "loss"), (right, "accuracy")):
        for place, (name, rows) in enumerate(runs.items()):
            for number, (split, style) in enumerate(SERIES):
                color = f"C{(place if len(runs) > 1 else number) % 10}"
                label = plain(f"{name}, {split}") if len(runs) > 1 else split
                _line(axes, rows, f"{split}_{quantity}", color, style, label)
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(runs) == 1:
        figure.suptitle(plain(*runs))
    return figure


def _line(
    axes: Axes,
    rows: Sequence[Mapping[str, float | None]],
    column: str,
    color: str,
    style: str,
    label: str,
) -> None:
    points = [(row["epoch"], row[column]) for row in rows if row[column] is not None]
    if points:
        marker = "o" if len(points) == 1 else None
        epochs, values = zip(*points, strict=True)
        axes.plot(epochs, values, style, color=color, label=label, marker=marker)


def confusion(title: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """The shares in which the images of each class, a row, were put in each class."""
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    side = 4 + 0.3 * min(len(classes), MOST_LABELS)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, format=PercentFormatter(1.0), shrink=0.8)
    axes.set(title=plain(title), xlabel="said to be", ylabel="class")
    if len(classes) <= MOST_LABELS:
        places = range(len(classes))
        names = list(map(plain, classes))
        axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(places, names)
        for row in places:
            for column in places:
                if counts[row][column]:
                    shade = "white" if shares[row][column] > 0.5 else "black"
                    text = str(counts[row][column])
                    axes.text(column, row, text, color=shade, fontsize=8, ha="center", va="center")
    return figure


def picture(title: str, image: NDArray[Any]) -> Figure:
    """An image of numbers from 0 to 1, (height, width, 3), each of its pixels a square."""
    height, width, _ = image.shape
    scale = 8 / max(height, width)
    size = (max(scale * width, 0.1 * len(title)), scale * height + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.imshow(image, interpolation="nearest")
    axes.axis("off")
    axes.set_title(plain(title))
    return figure


def plain(text: str) -> str:
    """Text that matplotlib takes for no formula, and does not leave out of a legend."""
    text = one_line(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
