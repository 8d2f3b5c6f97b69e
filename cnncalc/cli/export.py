"""`cnncalc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncalc.cli.options import Input, Settings, Spec, Variant, load_spec
from cnncalc.cli.output import write


def export(
    spec: Spec,
    file: Annotated[
        Path,
        typer.Argument(
            help="The file to write; its ending, .onnx or .pt2, says what.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="CHECKPOINT",
            help="A state dict, ours or torchvision's, saved by torch.save.",
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
    """Write the built network as a file for other programs.

    For any batch size, in evaluation: ONNX, or a program of torch.export.

    \b
    Examples:
      cnncalc export lenet.yaml lenet.onnx
      cnncalc export mlp3.yaml mlp3.pt2 --set width=100
    """  # noqa: D301 - \b keeps typer from filling the lines
    import cnncalc

    network = load_spec(spec, variant, settings, input_shape)
    cnncalc.export(network, file, weights=weights, opset=opset)

    from cnncalc.pytorch.export import form_of
    from cnncalc.pytorch.to_onnx import OPSET

    what = form_of(file).what.format(opset=opset or OPSET)
    started = f"weights from {weights}" if weights else "weights as they start"
    write(f"{file}: {what}, any batch size, {started}\n")
