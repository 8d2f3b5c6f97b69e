"""`cnncalc evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Device, Format, RunFolder, Weights, wants_json
from cnncalc.cli.output import warn, write, write_table


def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME", help="Other data than the run's, such as mnist."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the data lie.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="test, validation or train.")
    ] = "test",
    weights: Weights = None,
    device: Device = "auto",
    format: Format = "table",  # noqa: A002 - the option's own word
) -> None:
    """Evaluate a run, in all and class by class.

    Loss, top-1 and top-5 accuracy, that of each class, and the confusion matrix: a row is a class,
    a column what its images were said to be.

    \b
    Examples:
      cnncalc evaluate runs/lenet
      cnncalc evaluate runs/lenet --split train --format json
    """  # noqa: D301 - \b keeps typer from filling the lines
    import cnncalc
    from cnncalc.training.reports import tables

    as_json = wants_json(format)
    found = cnncalc.evaluate(
        run, split=split, data=data, data_dir=data_dir, weights=weights, device=device
    )
    for problem in found.problems:
        warn(problem)
    if as_json:
        write(tables.evaluation_json(found))
    else:
        write_table(tables.evaluation_table, found)
