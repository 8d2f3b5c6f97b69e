"""The command line: parses, calls and prints; nothing else."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cnncalc import __version__
from cnncalc.cli.commands import Group
from cnncalc.cli.output import prepare_streams, warn, write
from cnncalc.errors import CnncalcError

if TYPE_CHECKING:
    from types import FrameType

app = typer.Typer(
    name="cnncalc",
    cls=Group,
    help="Shapes, costs and receptive fields of a convolutional network, from one YAML file.",
    epilog="Example: cnncalc summarize lenet.yaml",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="With --version: what a bug report needs of this machine as well.",
        ),
    ] = False,
) -> None:
    if verbose and not version:
        context.fail("--verbose goes with --version")
    if version:
        if verbose:
            from cnncalc.machine import report

            write(report())
        else:
            write(f"cnncalc {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.fail("Missing command.")


def main() -> None:
    """Runs the command line; an error becomes one message and an exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    prepare_streams()
    # Pydantic would look through all installed packages for plugins: a thirtieth of the time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()  # a table is soon made: collecting garbage on the way costs a tenth of its time
    try:
        app()
    except CnncalcError as error:
        warn(str(error))
        sys.exit(error.exit_status)
    finally:
        gc.enable()


def _terminate(number: int, _: FrameType | None) -> None:
    """Ends as an error would, so that no half-written file stays behind."""
    sys.exit(128 + number)
