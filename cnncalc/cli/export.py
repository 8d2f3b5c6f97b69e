"""`cnncalc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Input, Settings, Spec, Variant, load_spec
from cnncalc.cli.output import is_stdout, say, write
from cnncalc.errors import UsageError


def export(
    spec: Spec,
    file: Annotated[
        Path,
        typer.Argument(
            help="The file to write, .py, .onnx, .pt2, .pt or .safetensors; - prints the source.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="CHECKPOINT",
            help="A state dict, ours or another's: .safetensors, or of torch.save; not for .py.",
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option("--opset", metavar="N", help="Operator set of ONNX, 18 to 23; else 20."),
    ] = None,
    input_shape: Input = None,
    variant: Variant = None,
    settings: Settings = None,
) -> None:
    """Write the network as a file that runs without cnncalc.

    Readable PyTorch source; the built module, in evaluation, as ONNX or a program of
    torch.export; or its weights alone.

    \b
    Examples:
      cnncalc export lenet.yaml lenet.py
      cnncalc export lenet.yaml lenet.onnx
      cnncalc export mlp3.yaml mlp3.pt2 --set width=100
    """  # noqa: D301 - \b keeps typer from filling the lines
    from cnncalc.exporting.export import export as write_export
    from cnncalc.exporting.export import form_of
    from cnncalc.exporting.opset import OPSET
    from cnncalc.exporting.python_source import write_source

    if is_stdout(file):
        if weights is not None or opset is not None:
            raise UsageError("- prints Python source, which holds no weights and needs no opset")
        write(write_source(load_spec(spec, variant, settings, input_shape)))
        return
    form = form_of(file)
    network = load_spec(spec, variant, settings, input_shape)
    write_export(network, file, weights=weights, opset=opset)
    started = f"weights from {weights}" if weights else "weights as they start"
    about = form.what.format(opset=opset or OPSET)
    say(f"{file}: {about}{f', {started}' if 'weights' in form.takes else ''}")
