"""`cnncalc summarize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Input, Settings, Spec, Variant, load_spec
from cnncalc.cli.output import has_color, is_stdout, terminal_width, write
from cnncalc.errors import ShapeError, UsageError
from cnncalc.render import FORMATS, render
from cnncalc.render.columns import COLUMNS, DEFAULT, PRESETS
from cnncalc.wording import either

ROWS_BEFORE_AN_ERROR = 20
NAMED = [name for name in PRESETS if name != DEFAULT]


def complete_format(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


def complete_columns(incomplete: str) -> list[str]:
    """Presets, and the columns that may follow those already named."""
    before, comma, last = incomplete.rpartition(",")
    names = [*PRESETS, *(column.name for column in COLUMNS)]
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def complete_dtype(incomplete: str) -> list[str]:
    from cnncalc.analysis.analyze import DTYPE_BYTES

    return [name for name in DTYPE_BYTES if name.startswith(incomplete)]


def summarize(
    spec: Spec,
    format: Annotated[  # noqa: A002 - the option's own word
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"{either(FORMATS)}.",
            autocompletion=complete_format,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            help=f"{', '.join(NAMED)}, or columns separated by commas.",
            autocompletion=complete_columns,
        ),
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Show how each figure is worked out.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", help="Fold names of over N parts into one row each."),
    ] = None,
    input_shape: Input = None,
    variant: Variant = None,
    settings: Settings = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Count for a batch of N samples.")
    ] = 1,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="DTYPE",
            help="Type of the numbers, for bytes.",
            autocompletion=complete_dtype,
        ),
    ] = "float32",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to a file; its ending gives the format."
        ),
    ] = None,
) -> None:
    """Print the table of a network.

    Shapes, parameters, multiply-adds and receptive fields, layer by layer.

    \b
    Examples:
      cnncalc summarize lenet.yaml --columns lecture
      cnncalc summarize resnet152 --depth 1
      cnncalc summarize alexnet --set groups=2 --format markdown
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.analysis.analyze import analyze_graph
    from cnncalc.network.expansion import build_graph

    chosen_format = format or _format_of(output)
    network = load_spec(spec, variant, settings, input_shape)
    try:
        summary = analyze_graph(build_graph(network), dtype=dtype, batch_size=batch_size)
    except ShapeError as error:
        _show_rows_before(error)
        raise
    if depth is not None:
        from cnncalc.analysis.folding import fold

        summary = fold(summary, depth)
    on_screen = is_stdout(output)
    text = render(
        summary,
        chosen_format,
        columns=columns,
        formulas=formulas,
        width=terminal_width(sys.stdout) if on_screen else None,
        color=on_screen and has_color(sys.stdout),
    )
    write(text, output)


def _format_of(output: Path | None) -> str:
    """The format that the ending of a file asks for; the table if it has none."""
    ending = "" if output is None or is_stdout(output) else output.suffix.lower()
    formats = {"": "table", **{ending: name for name, ending in FORMATS.items()}}
    if ending not in formats:
        raise UsageError(
            f"{output}: no format has the ending {ending};"
            f" use {', '.join(FORMATS.values())}, or --format"
        )
    return formats[ending]


def _show_rows_before(error: ShapeError) -> None:
    """The table up to the failing layer, on stderr."""
    if error.graph is None or not error.graph.nodes or sys.stderr is None:
        return
    from dataclasses import replace

    from cnncalc.analysis.analyze import analyze_graph
    from cnncalc.render.table import rows_only

    graph = error.graph
    graph.output = graph.nodes[-1].number
    summary = analyze_graph(graph)
    summary = replace(summary, layers=summary.layers[-ROWS_BEFORE_AN_ERROR:])
    columns = "name,layer,output_shape"
    sys.stderr.write(f"{rows_only(summary, columns, terminal_width(sys.stderr))}\n")
