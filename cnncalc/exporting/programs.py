"""The built module as a program of torch.export, that as ONNX, and its weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import OutputError
from cnncalc.exporting.opset import OPSET
from cnncalc.exporting.to_onnx import check_request, prepare, translate
from cnncalc.network.expansion import build_graph
from cnncalc.pytorch.compiler import build
from cnncalc.pytorch.quiet import quiet
from cnncalc.pytorch.weights import load_checkpoint, one_name_each, safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Architecture


def write_program(network: Architecture, file: Path, *, weights: Any = None) -> None:
    """Writes a `.pt2`. Raises `OutputError`, and `UsageError` for wrong weights."""
    graph = build_graph(network)
    model = _model(network, weights)
    with quiet():
        torch.export.save(_program(model, graph), file)


def write_onnx(
    network: Architecture, file: Path, *, weights: Any = None, opset: int = OPSET
) -> None:
    """Writes an `.onnx`. Raises `OutputError`, and `UsageError` for wrong weights or opset."""
    check_request(opset)
    graph = build_graph(network)
    model = _model(network, weights)
    prepare(model, graph)
    with quiet():
        translate(_program(model, graph), model, file, opset=opset)


def write_state(network: Architecture, file: Path, *, weights: Any = None) -> None:
    """Writes the weights as `torch.save` does. Raises `UsageError` for wrong weights."""
    torch.save(_model(network, weights).state_dict(), file)


def write_safetensors(network: Architecture, file: Path, *, weights: Any = None) -> None:
    """Writes the weights as safetensors: those that nodes share once, by their first name.

    Raises:
        UsageError: wrong weights, or the package is missing.
    """
    save = safetensors().save_file
    model = _model(network, weights)
    save(one_name_each(model), file)


def _model(network: Architecture, weights: Any) -> torch.nn.Module:
    with torch.device("cpu"):
        model = build(network)
    if weights is not None:
        load_checkpoint(model, weights)
    return model.eval()


def _program(model: torch.nn.Module, graph: Graph) -> torch.export.ExportedProgram:
    # A batch of 1 would be taken as fixed.
    sample = torch.zeros(2, *graph.input_shape, device="cpu")
    batch = torch.export.Dim("batch")
    try:
        program = torch.export.export(model, (sample,), dynamic_shapes=({0: batch},))
    except Exception as error:  # noqa: BLE001 - whatever a network can make it raise
        reason = str(error).strip().partition("\n")[0]
        raise OutputError(f"torch.export cannot follow the network: {reason}") from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine
    return program
