"""Figures of runs, drawn by matplotlib without its global state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cnncalc.wording import printable

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
WIDTH = 10
"""Of curves, in inches."""
HANDLE, LETTER, LINE = 0.6, 0.08, 0.21
"""Inches that a legend takes for the line of an entry, for each of its letters, and in height."""
LONGEST_LABEL = 30
"""Letters of a class beside the confusion matrix."""


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as the ending of the path says, .png or .svg."""
    # An SVG is dated unless told otherwise; a PNG knows no such field.
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    figure.savefig(path, dpi=DPI, metadata=metadata)


def curves(runs: Mapping[str, Sequence[Mapping[str, float | None]]]) -> Figure:
    """Loss and accuracy by epoch: a colour a run, a line of its own for each split."""
    figure = Figure(figsize=(WIDTH, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    several = len(runs) > 1
    colors = _colors(len(runs) if several else len(SERIES))
    for axes, quantity in ((left, "loss"), (right, "accuracy")):
        for place, (name, rows) in enumerate(runs.items()):
            for number, (split, style) in enumerate(SERIES):
                color = colors[place if several else number]
                label = plain(f"{name}, {split}") if several else split
                _line(axes, rows, f"{split}_{quantity}", color, style, label)
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    if several:
        _legend_below(figure, [*map(plain, runs)], colors)
    else:
        for axes in (left, right):
            axes.legend(fontsize="small")
        figure.suptitle(plain(*runs))
    return figure


def _colors(count: int) -> list[Any]:
    """As many that can be told apart."""
    if count <= 10:
        return [f"C{place}" for place in range(count)]
    return [colormaps["turbo"](place / (count - 1)) for place in range(count)]


def _legend_below(figure: Figure, names: Sequence[str], colors: Sequence[Any]) -> None:
    """An entry a run and one a split, below the axes; the figure grows by what it takes."""
    drawn = {line.get_linestyle() for axes in figure.axes for line in axes.get_lines()}
    splits = [(split, style) for split, style in SERIES if style in drawn]
    entries = [
        *(
            Line2D([], [], color=color, label=name)
            for name, color in zip(names, colors, strict=True)
        ),
        *(Line2D([], [], color="black", ls=style, label=split) for split, style in splits),
    ]
    columns = max(int(WIDTH / (HANDLE + LETTER * max(map(len, names)))), 1)
    figure.set_figheight(figure.get_figheight() + LINE * math.ceil(len(entries) / columns))
    figure.legend(handles=entries, loc="outside lower center", ncols=columns, fontsize="small")


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
    labelled = len(classes) <= MOST_LABELS
    names = [_shortened(plain(name)) for name in classes] if labelled else []
    margin = LETTER * max(map(len, names), default=0)
    size = (max(side + 1 + margin, 0.1 * len(title)), side + margin)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, format=PercentFormatter(1.0), shrink=0.8)
    axes.set(xlabel="said to be", ylabel="class")
    figure.suptitle(plain(title))
    if labelled:
        places = range(len(classes))
        axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(places, names)
        for row in places:
            for column in places:
                if counts[row][column]:
                    shade = "white" if shares[row][column] > 0.5 else "black"
                    text = str(counts[row][column])
                    axes.text(column, row, text, color=shade, fontsize=8, ha="center", va="center")
    return figure


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"


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
    text = printable(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
