"""`cnncalc predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Device, Format, RunFolder, Weights, wants_json
from cnncalc.cli.output import warn, write, write_table


def predict(
    run: RunFolder,
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files.", metavar="IMAGE", show_default=False),
    ],
    top: Annotated[int, typer.Option("--top", metavar="N", help="Labels an image.")] = 5,
    weights: Weights = None,
    device: Device = "auto",
    format: Format = "table",  # noqa: A002 - the option's own word
) -> None:
    """Say what is on images: labels with probabilities.

    An image is resized to the network's input as in training.

    \b
    Examples:
      cnncalc predict runs/lenet seven.png
    """  # noqa: D301 - \b keeps typer from filling the lines
    import cnncalc
    from cnncalc.training.reports import tables

    as_json = wants_json(format)
    found = cnncalc.predict(run, images, top=top, weights=weights, device=device)
    for problem in found.problems:
        warn(problem)
    if as_json:
        write(tables.predictions_json(found))
    else:
        write_table(tables.predictions_table, found)
