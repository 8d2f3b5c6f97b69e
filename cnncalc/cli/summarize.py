"""`cnncalc summarize`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Input, Settings, Spec, Variant, load_spec
from cnncalc.cli.output import write
from cnncalc.errors import ShapeError

ROWS_BEFORE_AN_ERROR = 20


def summarize(
    spec: Spec,
    format: Annotated[  # noqa: A002 - the option's own word
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="table, markdown, csv, json, latex or html."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            help="lecture, weights, full, or columns separated by commas.",
        ),
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Show how each figure is worked out.")
    ] = False,
    input_shape: Input = None,
    variant: Variant = None,
    settings: Settings = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Count for a batch of N samples.")
    ] = 1,
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="DTYPE", help="Type of the numbers, for bytes.")
    ] = "float32",
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", help="Fold blocks and groups below N names."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to a file; it gives the format."
        ),
    ] = None,
) -> None:
    """Print the table of a network: shapes, parameters, multiply-adds, receptive fields.

    Example: cnncalc summarize lenet.yaml --columns lecture
    """
    from cnncalc.analysis import analyze_graph
    from cnncalc.expansion import build_graph
    from cnncalc.render import FORMATS, render

    network = load_spec(spec, variant, settings, input_shape)
    try:
        summary = analyze_graph(build_graph(network), dtype=dtype, batch_size=batch_size)
    except ShapeError as error:
        _show_rows_before(error)
        raise
    if depth is not None:
        from cnncalc.folding import fold

        summary = fold(summary, depth)
    if format is None:
        endings = {ending: name for name, ending in FORMATS.items()}
        format = endings.get(output.suffix.lower(), "table") if output else "table"  # noqa: A001
    terminal = output is None and sys.stdout.isatty()
    text = render(
        summary,
        format,
        columns=columns,
        formulas=formulas,
        width=shutil.get_terminal_size().columns if terminal else None,
        color=terminal and format == "table",
    )
    write(text, output)


def _show_rows_before(error: ShapeError) -> None:
    """The table up to the failing layer, on stderr."""
    if error.graph is None or not error.graph.nodes:
        return
    from dataclasses import replace

    from cnncalc.analysis import analyze_graph
    from cnncalc.render import render

    graph = error.graph
    graph.output = graph.nodes[-1].number
    summary = analyze_graph(graph)
    rows = summary.layers[-ROWS_BEFORE_AN_ERROR:]
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    columns = "name,layer,output_shape"
    text = render(replace(summary, layers=rows), "table", columns=columns, width=width)
    table = text.partition("\n")[2].split("\n\n")[0]
    sys.stderr.write(f"{table.rstrip()}\n\n")
