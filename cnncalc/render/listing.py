"""A list of networks with their figures, as a table and as JSON."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from cnncalc.render.figures import group
from cnncalc.render.json import SCHEMA_VERSION
from cnncalc.render.layout import laid_out, printed
from cnncalc.wording import json_lines, printable, write_axes, write_shape

if TYPE_CHECKING:
    from cnncalc.analysis.listing import Network
    from cnncalc.analysis.summary import Summary

TITLES = ("name", "input", "parameters", "multiply-adds", "receptive field", "source")
NUMBERS = TITLES[2:5]
WIDTHS = ((110, 6), (90, 5), (0, 4))
"""Characters from which there is room for so many columns."""
INDENT = "  "


def listing_table(
    networks: list[Network], *, by_family: bool = True, width: int | None = None
) -> str:
    """A row for each network; a family is headed by its file and source.

    A narrow terminal does without the last columns.
    """
    columns = next(count for least, count in WIDTHS if width is None or width >= least)
    rows = []
    for family, members in groupby(networks, key=lambda network: network.family):
        kept = [*members]
        source = printable(kept[0].summary.source.strip())
        headed = by_family and len(kept) > 1
        if headed:
            rows.append([family, "", "", "", "", source])
        for network in kept:
            name = f"{INDENT if headed else ''}{network.name}"
            rows.append([name, *_figures(network.summary), "" if headed else source])
    shown = [row[:columns] for row in rows]
    table = laid_out(TITLES[:columns], shown, right=NUMBERS, width=width, breaks_words=True)
    return printed([table], width=width)


def _figures(summary: Summary) -> tuple[str, ...]:
    totals = summary.totals
    return (
        write_shape(summary.input_shape),
        group(totals.parameters),
        group(totals.multiply_adds),
        write_axes(totals.receptive_field.size),
    )


def listing_json(networks: list[Network]) -> str:
    """One object; a network a line."""
    rows = [_plain(network) for network in networks]
    return json_lines({"schema_version": SCHEMA_VERSION, "networks": rows}, listed=("networks",))


def _plain(network: Network) -> dict[str, Any]:
    summary, totals = network.summary, network.summary.totals
    return {
        "name": network.name,
        "family": network.family,
        "source": summary.source,
        "input_shape": summary.input_shape,
        "output_shape": summary.output_shape,
        "parameters": totals.parameters,
        "multiply_adds": totals.multiply_adds,
        "receptive_field": totals.receptive_field._asdict(),
    }
