"""`cnncalc runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Format, wants_json
from cnncalc.cli.output import write, write_table


def list_runs(
    folder: Annotated[
        Path, typer.Argument(help="The folder that holds them.", metavar="DIR")
    ] = Path("runs"),
    format: Format = "table",  # noqa: A002 - the option's own word
) -> None:
    """List runs, the newest first.

    How far each is, its last accuracies, its best validation loss, and whether it is finished; an
    unfinished one still runs, was interrupted, or failed.

    \b
    Examples:
      cnncalc runs
      cnncalc runs runs/lenet --format json
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.runs import records
    from cnncalc.training.reports import tables

    as_json = wants_json(format)
    found = records.list_runs(folder)
    if as_json:
        write(tables.runs_json(found))
    else:
        write_table(tables.runs_table, found)
