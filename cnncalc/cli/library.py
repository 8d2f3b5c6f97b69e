"""`cnncalc list` and `cnncalc show`: the bundled networks."""

from __future__ import annotations

from typing import Annotated

import typer

from cnncalc.cli.options import complete_spec
from cnncalc.cli.output import write
from cnncalc.errors import UsageError, did_you_mean


def list_networks() -> None:
    """List the bundled networks with their parameters and multiply-adds.

    Example: cnncalc list
    """
    from cnncalc.render.listing import render_listing

    write(render_listing())


def show(
    name: Annotated[
        str,
        typer.Argument(help="A bundled network or variant.", autocompletion=complete_spec),
    ],
) -> None:
    """Print the YAML of a bundled network.

    Example: cnncalc show lenet > mine.yaml
    """
    from cnncalc import bundled

    known = bundled.find(name)
    if known is None:
        hint = did_you_mean(name, bundled.names())
        raise UsageError(
            f"there is no bundled network {name!r};"
            f" {hint if hint.startswith('did') else 'cnncalc list shows them'}"
        )
    write(known[0].read_text(encoding="utf-8"))
