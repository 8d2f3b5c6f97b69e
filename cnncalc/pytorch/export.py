"""A network as a file that runs without cnncalc: ONNX, or a program of torch.export."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from cnncalc.drafts import draft_of
from cnncalc.errors import OutputError, UsageError
from cnncalc.expansion import build_graph
from cnncalc.loading import load
from cnncalc.pytorch.compiler import build
from cnncalc.pytorch.to_onnx import OPSET, check_request, prepare, write_onnx
from cnncalc.pytorch.weights import load_checkpoint
from cnncalc.spec import Architecture

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from cnncalc.graph import Graph


def export(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any],
    file: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    opset: int | None = None,
) -> None:
    """Writes the built network, in evaluation, for any batch size; the file's ending says how.

    `weights` is a checkpoint that `load_weights` can match; without one the weights are those
    that `build` starts with. `opset` is for ONNX.

    Raises:
        UsageError: an unknown ending, a wrong checkpoint or opset, or a package that is missing.
        SpecError: the spec is wrong.
        OutputError: the network has no such form, or the file cannot be written; what stood
            there before is as it was.
    """
    path = Path(file)
    form = form_of(path)
    options = {"weights": weights, "opset": opset}
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in form.takes:
            raise UsageError(f"{path}: {name} does not go with {path.suffix}")
    if not isinstance(network, Architecture):
        network = load(network)
    with draft_of(path) as draft:
        form.write(network, draft, **given)


class Form(NamedTuple):
    """What a file may be."""

    write: Callable[..., None]
    """Takes the network, the path to write to, and such options of `takes` as are given."""
    takes: tuple[str, ...]
    what: str
    """In words, for the command line's message."""


def form_of(path: Path) -> Form:
    """The form that the ending of a file asks for. Raises `UsageError`."""
    form = FORMS.get(path.suffix.lower())
    if form is None:
        wrong = f"no export has the ending {path.suffix}" if path.suffix else "has no ending"
        raise UsageError(f"{path}: {wrong}; use {' or '.join(FORMS)}")
    return form


def _write_program(network: Architecture, file: Path, weights: Any = None) -> None:
    graph = build_graph(network)
    model = _model(network, weights)
    with _quiet():
        torch.export.save(_program(model, graph), file)


def _write_onnx(network: Architecture, file: Path, weights: Any = None, opset: int = OPSET) -> None:
    check_request(opset)
    graph = build_graph(network)
    model = _model(network, weights)
    prepare(model, graph)
    with _quiet():
        write_onnx(_program(model, graph), model, file, opset=opset)


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' warnings and logs, which speak of their own inside."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


FORMS = {
    ".onnx": Form(_write_onnx, ("weights", "opset"), "ONNX, opset {opset}"),
    ".pt2": Form(_write_program, ("weights",), "a program of torch.export"),
}
"""Each ending. The writer of another form is one more row."""
