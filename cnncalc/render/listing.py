"""The bundled networks with their figures, as a table and as JSON."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.analyze import analyze
from cnncalc.errors import UsageError, did_you_mean
from cnncalc.layers.base import write_shape
from cnncalc.render.figures import group, write_axes
from cnncalc.render.json import SCHEMA_VERSION
from cnncalc.render.table import plain_table, printed
from cnncalc.spec import bundled
from cnncalc.spec.loading import load
from cnncalc.wording import json_lines, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnncalc.analysis.summary import Summary

TITLES = ("name", "input", "parameters", "multiply-adds", "receptive field", "source")
NUMBERS = TITLES[2:5]
WIDTHS = ((110, 6), (90, 5), (0, 4))
"""Characters from which there is room for so many columns."""
INDENT = "  "


class Network(NamedTuple):
    """A bundled network, or one variant of a family: that of the file's name."""

    name: str
    family: str
    summary: Summary


SORTS: dict[str, Callable[[Network], Any]] = {
    "name": lambda network: network.name,
    "parameters": lambda network: network.summary.totals.parameters,
    "multiply-adds": lambda network: network.summary.totals.multiply_adds,
    "receptive-field": lambda network: [
        size or 0 for size in network.summary.totals.receptive_field.size
    ],
    "input": lambda network: network.summary.input_shape,
}
"""What a list may be sorted by, the smallest first."""


def listing(text: str = "", sort: str | None = None) -> list[Network]:
    """The networks whose name, family or source holds `text`: by family, or in the order `sort`.

    Raises:
        UsageError: there are none, or no such order.
    """
    if sort is not None and sort not in SORTS:
        raise UsageError(f"cannot sort by {sort!r}; {did_you_mean(sort, SORTS)}")
    found = [*_networks(text)]
    if not found:
        raise UsageError(f"no bundled network matches {text!r}; {bundled.suggestion(text)}")
    return sorted(found, key=SORTS[sort]) if sort else found


def _networks(text: str) -> Iterator[Network]:
    text = text.casefold()
    for file in bundled.files():
        network = load(file)
        whole = text in f"{file.stem}\n{network.name}\n{network.source}".casefold()
        for variant in network.variants or (None,):
            if whole or text in (variant or "").casefold():
                summary = analyze(network.configured(variant=variant))
                yield Network(variant or file.stem, file.stem, summary)


def listing_table(
    networks: list[Network], *, by_family: bool = True, width: int | None = None
) -> str:
    """A row for each network; a family is headed by its file and source.

    A narrow terminal does without the last columns.
    """
    columns = next(count for least, count in WIDTHS if width is None or width >= least)
    table = plain_table(TITLES[:columns], right=NUMBERS)
    for family, members in groupby(networks, key=lambda network: network.family):
        rows = [*members]
        source = printable(rows[0].summary.source.strip())
        headed = by_family and len(rows) > 1
        if headed:
            table.add_row(*(family, "", "", "", "", source)[:columns])
        for network in rows:
            name = f"{INDENT if headed else ''}{network.name}"
            table.add_row(*(name, *_figures(network.summary), "" if headed else source)[:columns])
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
