"""`cnncalc import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.output import check_folder, warn, write


def import_network(
    source: Annotated[
        str,
        typer.Argument(
            help="torchvision:NAME, module:function or file.py:function (which runs it), a .pt2 or"
            " an .onnx file.",
            metavar="SOURCE",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the spec to a file."),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input-shape", metavar="SHAPE", help="Of one image, such as 3x224x224, the default."
        ),
    ] = None,
    call: Annotated[
        str | None,
        typer.Option(
            "--call", metavar="KWARGS", help="Arguments of the function: 'num_classes=10, width=2'."
        ),
    ] = None,
    blocks: Annotated[
        bool, typer.Option("--blocks", help="Write what is repeated once, as blocks.")
    ] = False,
) -> None:
    """Write the spec of a PyTorch module, an exported program or an ONNX file.

    Weights are neither copied nor given memory. module:function and file.py:function run that
    module or file: it is imported, from the current folder too, and the function is called. A .pt2
    or .onnx file is only read: nothing of it is run. What has no layer is named, counted in
    nothing, and said on stderr.

    \b
    Examples:
      cnncalc import torchvision:resnet50 --blocks -o resnet50.yaml
      cnncalc import torchvision:squeezenet1_1 --call "num_classes=10"
    """  # noqa: D301 - \b keeps typer from filling the lines
    import gc

    from cnncalc.importing.import_network import import_network as import_source
    from cnncalc.spec.loading import parse_shape

    check_folder(output)
    gc.enable()  # modules hold circles
    shape = None if input_shape is None else parse_shape(input_shape)
    network = import_source(source, input_shape=shape, call=call, blocks=blocks)
    for note in network.notes:
        warn(f"{source}: {note}")
    write(network.text, output)
