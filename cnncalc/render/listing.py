"""The table of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc import bundled
from cnncalc.layers.base import write_shape
from cnncalc.loading import analyze, load
from cnncalc.render.columns import group
from cnncalc.render.table import print_plain

if TYPE_CHECKING:
    from cnncalc.analysis import Summary


def summaries() -> list[tuple[str, Summary]]:
    """Name and summary of each bundled network, and of each variant of a family."""
    return [
        (variant or file.stem, analyze(load(file, variant=variant)))
        for file, variant in bundled.entries()
    ]


def render_listing() -> str:
    """One line for each network: name, input, parameters, multiply-adds, source."""
    rows = [
        [
            name,
            write_shape(summary.input_shape),
            group(summary.totals.parameters),
            group(summary.totals.multiply_adds),
            summary.source,
        ]
        for name, summary in summaries()
    ]
    return print_plain(
        ["name", "input", "parameters", "multiply-adds", "source"], rows, right=(2, 3)
    )
