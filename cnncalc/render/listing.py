"""The table of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc import bundled
from cnncalc.layers.base import write_shape
from cnncalc.loading import analyze, load
from cnncalc.render.figures import group, one_line
from cnncalc.render.layout import GAP, Track, draw, natural_width

if TYPE_CHECKING:
    from cnncalc.analysis import Summary

LEAST_SOURCE = 32
"""Width below which the column of sources is left out."""


def summaries() -> list[tuple[str, Summary]]:
    """Name and summary of each bundled network, and of each variant of a family."""
    return [
        (variant or file.stem, analyze(load(file, variant=variant)))
        for file, variant in bundled.entries()
    ]


def render_listing(width: int | None = None) -> str:
    """One row for each network; a terminal without room for the sources does without them."""
    rows = [
        (
            name,
            write_shape(summary.input_shape),
            group(summary.totals.parameters),
            group(summary.totals.multiply_adds),
            one_line(summary.source),
        )
        for name, summary in summaries()
    ]
    names, inputs, parameters, multiply_adds, sources = zip(*rows, strict=True)
    tracks = [
        Track("name", names),
        Track("input", inputs),
        Track("parameters", parameters, right=True),
        Track("multiply-adds", multiply_adds, right=True),
    ]
    if width is None or natural_width(tracks) + GAP + LEAST_SOURCE <= width:
        tracks.append(Track("source", sources))
    return "\n".join(draw(tracks, width, total=False)) + "\n"
