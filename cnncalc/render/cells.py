"""A table as text before it is laid out: rows, totals, title and notes, for every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnncalc.analysis.figures import FIGURES
from cnncalc.render.columns import share_of
from cnncalc.render.figures import scale, scale_bytes, write_figure
from cnncalc.wording import printable, some, write_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from cnncalc.analysis.summary import Summary
    from cnncalc.render.columns import Column

FIELD = "receptive field"
CONVENTION_OF_FIELDS = "input pixels, not clipped to the image"
MAX_LISTED = 8


class Cells(NamedTuple):
    """What the formats for people lay out."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    total: list[str] | None
    """The last row; None where no column has a sum."""
    title: str
    notes: list[str]
    bars: list[float]
    """How long the bar of each row's cost is: 1 for the dearest."""


def tabulate(summary: Summary, columns: tuple[Column, ...]) -> Cells:
    """The cells of `columns`, the row of totals, the title above and the notes below."""
    rows = [[column.cell(row, summary) for column in columns] for row in summary.layers]
    shares = [share_of(row, summary) for row in summary.layers]
    longest = max(shares, default=0.0) or 1.0
    bars = [share / longest for share in shares]
    title = printable(f"{summary.name} · input {write_shape(summary.input_shape)}")
    return Cells(columns, rows, _totals(summary, columns), title, notes(summary, columns), bars)


def fitting(
    summary: Summary,
    columns: tuple[Column, ...],
    narrower: Iterable[Collection[str]],
    fits: Callable[[Cells], bool],
) -> Cells:
    """The cells of `columns` without the first of the choices to leave out that lets them fit."""
    for dropped in ((), *narrower):
        cells = tabulate(summary, tuple(each for each in columns if each.name not in dropped))
        if fits(cells):
            break
    return cells


def _totals(summary: Summary, columns: tuple[Column, ...]) -> list[str] | None:
    totals = summary.totals
    cells = []
    for column in columns:
        if column.name == "share":
            cells.append("100%" if totals.multiply_adds else "")
        elif column.total is None:
            cells.append("")
        else:
            cells.append(_bounded(summary, column.total, write_figure))
    if not any(cells):
        return None
    cells[0] = cells[0] or "total"
    return cells


def _bounded(summary: Summary, name: str, write: Callable[[str, int], str]) -> str:
    """A total; `≥ n` where something was left out of it, a dash where a kind has no rule."""
    value = summary.totals.figures[name]
    if value is None:
        return "–"
    return f"{'≥ ' if name in summary.totals.at_least else ''}{write(name, value)}"


def _in_words(name: str, value: int) -> str:
    return scale_bytes(value) if FIGURES[name].in_bytes else scale(value)


def notes(summary: Summary, columns: Iterable[Column]) -> list[str]:
    """The totals for people, what is not counted, the conventions of the columns, the source."""
    totals = summary.totals
    said = {name: _bounded(summary, name, _in_words) for name in FIGURES}
    size = f"{said['parameters']} parameters"
    if totals.frozen_parameters:
        size += f" and {said['frozen_parameters']} frozen"
    batch = f" for a batch of {summary.batch_size}" if summary.batch_size > 1 else ""
    lines = [
        f"{size}, {said['multiply_adds']} multiply-adds{batch}; {summary.dtype}:"
        f" weights {said['weight_bytes']}, activations {said['activation_bytes']}"
    ]
    explained = {column.convention for column in columns}
    if totals.unknown:
        lines.append(
            "incomplete, what has no layer is counted in nothing:"
            f" {some(totals.unknown, MAX_LISTED)}"
        )
    lines += [f"incomplete, {line}" for line in totals.left_out.lines()]
    if totals.uncounted and "flops" in explained:
        lines.append(f"flops of {', '.join(totals.uncounted)} are not counted")
    unknown = any(None in row.receptive_field.size for row in summary.layers)
    if unknown and FIELD in explained:
        why = (
            "behind what has no layer" if totals.unknown else "too many units to follow one by one"
        )
        lines.append(f"a dash for a receptive field: {why}")
    lines += [
        f"{figure.title}: {figure.convention}"
        for figure in FIGURES.values()
        if figure.always_explained or (figure.convention and figure.title in explained)
    ]
    if FIELD in explained:
        lines.append(f"{FIELD}: {CONVENTION_OF_FIELDS}")
    if summary.source:
        lines.append(f"source: {summary.source.strip()}")
    return [*map(printable, lines)]
