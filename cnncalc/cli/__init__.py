"""The command line: parses, calls and prints; nothing else."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cnncalc import __version__
from cnncalc.cli.library import list_networks, show
from cnncalc.cli.output import prepare_streams
from cnncalc.cli.schema import schema
from cnncalc.cli.summarize import summarize
from cnncalc.errors import CnncalcError

app = typer.Typer(
    name="cnncalc",
    help="Shapes, costs and receptive fields of a convolutional network, from one YAML file.",
    epilog="Example: cnncalc summarize lenet.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("summarize")(summarize)
app.command("list")(list_networks)
app.command("show")(show)
app.command("schema")(schema)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cnncalc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; an error becomes one message and an exit status."""
    prepare_streams()
    try:
        app()
    except CnncalcError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_status)
    except BrokenPipeError:
        # The reader has gone: nothing is left to say, and flushing at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
