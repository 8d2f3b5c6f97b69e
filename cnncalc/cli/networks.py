"""`cnncalc list` and `cnncalc show`: the bundled networks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cnncalc.analysis.listing import SORTS, listing
from cnncalc.cli.options import Format, complete_name, wants_json
from cnncalc.cli.output import terminal_width, write
from cnncalc.errors import UsageError
from cnncalc.wording import either


def complete_sort(incomplete: str) -> list[str]:
    """Figures to sort by."""
    return [name for name in SORTS if name.startswith(incomplete)]


def list_networks(
    text: Annotated[
        str,
        typer.Argument(
            help="Only those whose name, family or source holds it.",
            metavar="TEXT",
            show_default=False,
        ),
    ] = "",
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIGURE",
            help=f"{either(SORTS)}; the smallest first.",
            autocompletion=complete_sort,
        ),
    ] = None,
    format: Format = "table",  # noqa: A002 - the option's own word
) -> None:
    """List the bundled networks.

    By family, with their inputs, parameters, multiply-adds, receptive fields and sources.

    \b
    Examples:
      cnncalc list
      cnncalc list resnet --sort parameters
      cnncalc list "et al. 2015" --format json
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.render.listing import listing_json, listing_table

    as_json = wants_json(format)
    networks = listing(text, sort)
    if as_json:
        write(listing_json(networks))
    else:
        width = terminal_width(sys.stdout)
        write(listing_table(networks, by_family=sort is None, width=width))


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A bundled network or variant.", metavar="NAME", autocompletion=complete_name
        ),
    ],
) -> None:
    """Print the YAML of a bundled network.

    \b
    Examples:
      cnncalc show lenet
      cnncalc show resnet50 > mine.yaml
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.spec import bundled

    known = bundled.find(name)
    if known is None:
        raise UsageError(f"there is no bundled network {name!r}; {bundled.suggestion(name)}")
    write(known[0].read_text(encoding="utf-8"))
