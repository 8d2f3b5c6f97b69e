"""`cnncalc plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Weights, complete_run
from cnncalc.cli.output import say


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs.",
            metavar="RUN",
            autocompletion=complete_run,
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture to write, .png or .svg.",
            show_default=False,
        ),
    ],
    what: Annotated[
        str, typer.Option("--what", metavar="NAME", help="curves, confusion or filters.")
    ] = "curves",
    weights: Weights = None,
) -> None:
    """Draw runs.

    Loss and accuracy by epoch of one or several; of one, the confusion matrix on its test split, or
    the filters of its first convolution.

    \b
    Examples:
      cnncalc plot runs/lenet runs/wide -o curves.svg
      cnncalc plot runs/lenet -o filters.png --what filters
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.training.reports import plotting

    plotting.plot(runs, output, what, weights=weights)
    names = ", ".join(run.name for run in runs)
    say(f"{output}: {what} of {names}")
