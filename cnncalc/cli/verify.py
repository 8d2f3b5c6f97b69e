"""`cnncalc verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from cnncalc.cli.options import Input, Settings, Spec, Variant, load_spec
from cnncalc.cli.output import write_table
from cnncalc.errors import CheckError


def verify(
    spec: Spec,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out receptive fields, which take arithmetic.")
    ] = False,
    input_shape: Input = None,
    variant: Variant = None,
    settings: Settings = None,
) -> None:
    """Compare the table of a network with its PyTorch module.

    Builds the module and measures it, layer by layer: shapes, parameters, multiply-adds and bytes
    without memory or arithmetic, receptive fields by gradients. Exit status 1 if any differs.

    \b
    Examples:
      cnncalc verify lenet
      cnncalc verify resnet152 --quick
    """  # noqa: D301 - \b keeps typer from filling the lines
    import gc

    import cnncalc
    from cnncalc.verification.table import render

    gc.enable()  # modules hold circles, and their numbers
    network = load_spec(spec, variant, settings, input_shape)
    verification = cnncalc.verify(network, quick=quick)
    write_table(render, verification)
    if not verification.ok:
        raise CheckError(f"{verification.name}: {verification.verdict}: {verification.reasons}")
