"""The table of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc import bundled
from cnncalc.layers.base import write_shape
from cnncalc.loading import analyze, load
from cnncalc.render.figures import group, one_line
from cnncalc.render.table import plain_table, printed

if TYPE_CHECKING:
    from cnncalc.analysis import Summary

TITLES = ("name", "input", "parameters", "multiply-adds", "source")
WITH_SOURCES = 100
"""Width from which there is room for them."""


def summaries() -> list[tuple[str, Summary]]:
    """Name and summary of each bundled network, and of each variant of a family."""
    return [
        (variant or file.stem, analyze(load(file, variant=variant)))
        for file, variant in bundled.entries()
    ]


def render_listing(width: int | None = None) -> str:
    """One row for each network; a narrow terminal does without the sources."""
    titles = TITLES if width is None or width >= WITH_SOURCES else TITLES[:-1]
    table = plain_table(titles, right=("parameters", "multiply-adds"))
    for name, summary in summaries():
        cells = (
            name,
            write_shape(summary.input_shape),
            group(summary.totals.parameters),
            group(summary.totals.multiply_adds),
            one_line(summary.source),
        )
        table.add_row(*cells[: len(titles)])
    return printed([table], width=width)
