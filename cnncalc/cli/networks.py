"""`cnncalc list` and `cnncalc show`: the bundled networks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cnncalc.cli.options import complete_name
from cnncalc.cli.output import terminal_width, write
from cnncalc.errors import UsageError


def list_networks() -> None:
    """List the bundled networks.

    With their inputs, parameters, multiply-adds and sources.

    \b
    Examples:
      cnncalc list
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.render.listing import render_listing

    write(render_listing(terminal_width(sys.stdout)))


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
    from cnncalc import bundled

    known = bundled.find(name)
    if known is None:
        raise UsageError(f"there is no bundled network {name!r}; {bundled.suggestion(name)}")
    write(known[0].read_text(encoding="utf-8"))
