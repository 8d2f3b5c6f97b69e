"""A `.pt2` file as the program that `from_torch` reads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)

from cnncalc.errors import UsageError, reason_of
from cnncalc.importing.from_pt2 import symbols
from cnncalc.importing.from_pt2.archive import read_archive
from cnncalc.importing.from_pt2.building import DTYPES, GraphBuilder, only
from cnncalc.importing.from_torch.tracing import BATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.export import ExportedProgram

    from cnncalc.importing.from_pt2.archive import Archive

_KINDS = {
    "user_input": InputKind.USER_INPUT,
    "parameter": InputKind.PARAMETER,
    "buffer": InputKind.BUFFER,
    "tensor_constant": InputKind.CONSTANT_TENSOR,
    "token": InputKind.TOKEN,
    "constant_input": InputKind.USER_INPUT,
}


@dataclass(frozen=True)
class FileProgram:
    """What `torch.export.ExportedProgram` is to its readers, without weights."""

    file: str
    builder: GraphBuilder
    graph_signature: ExportGraphSignature
    state_dict: Mapping[str, torch.Tensor]
    constants: Mapping[str, torch.Tensor]

    @property
    def graph(self) -> fx.Graph:
        return self.builder.graph

    @property
    def graph_module(self) -> nn.Module:
        """Without the graphs that operators are handed, which no one reads."""
        return nn.Module()

    def run_decompositions(self, table: dict[Any, Any]) -> ExportedProgram:
        """As `ExportedProgram`'s: operators run on fake tensors, and nothing else does.

        Raises:
            UsageError: PyTorch cannot run them.
        """
        try:
            decomposed: ExportedProgram = _exported(self).run_decompositions(table)
            return decomposed
        except Exception as error:  # noqa: BLE001 - whatever a damaged file can make it raise
            raise UsageError(
                f"{self.file}: holds no program of torch.export: {reason_of(error)}"
            ) from None


def read_file(file: str, name: str) -> FileProgram:
    """The program in a `.pt2`, which is data: nothing of it is run, evaluated or unpickled.

    Raises:
        UsageError: there is none, its input has no fixed sizes, or it holds what could run code.
    """
    archive = read_archive(file)
    try:
        return _program(archive, file, name)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged file can make it raise
        raise UsageError(f"{file}: holds no program of torch.export: {reason_of(error)}") from None


def _program(archive: Archive, file: str, name: str) -> FileProgram:
    module = archive.program["graph_module"]
    specs = [_input(*only(each)) for each in module["signature"]["input_specs"]]
    builder = GraphBuilder(FakeTensorMode(), {})
    builder.sizes = _symbols(module["graph"], specs, name)
    builder.build(module["graph"])
    state = {
        spec.target: _weight(spec, builder.values[spec.arg.name], archive)
        for spec in specs
        if spec.target is not None and spec.kind in (InputKind.PARAMETER, InputKind.BUFFER)
    }
    outputs = [_output(*only(each)) for each in module["signature"]["output_specs"]]
    signature = ExportGraphSignature(specs, outputs)
    return FileProgram(file, builder, signature, state, _constants(archive))


def _input(kind: str, written: Any) -> InputSpec:
    target = next((written[key] for key in written if key.endswith("_name")), None)
    persistent = written.get("persistent") if kind == "buffer" else None
    return InputSpec(_KINDS[kind], TensorArgument(_named(written)), target, persistent)


def _named(written: Any) -> str:
    """`{"arg": {"name": …}}`, or within a kind of argument; constants have a name alone."""
    found = written.get("arg", written)
    while isinstance(found, dict) and "name" not in found:
        found = next(iter(found.values()), None)
    return str(found["name"]) if isinstance(found, dict) else ""


def _output(kind: str, written: Any) -> OutputSpec:
    target = next((written[key] for key in written if key.endswith("_name")), None)
    return OutputSpec(OutputKind[kind.upper()], TensorArgument(_named(written)), target)


def _symbols(graph: Mapping[str, Any], specs: list[InputSpec], name: str) -> dict[str, int]:
    """The number of samples for the symbol of the batch.

    Raises:
        UsageError: another axis of the input varies.
    """
    inputs = [
        graph["tensor_values"][spec.arg.name]["sizes"]
        for spec in specs
        if spec.kind is InputKind.USER_INPUT and spec.arg.name in graph["tensor_values"]
    ]
    if len(inputs) != 1:
        return {}  # the reader says which
    shape = [only(size) for size in inputs[0]]
    if any(kind != "as_int" for kind, _ in shape[1:]):
        shown = [
            str(value) if kind == "as_int" else symbols.shown(value["expr_str"])
            for kind, value in shape
        ]
        raise UsageError(
            f"{name}: its input has the shape {shown}; only the first axis, the batch, may vary,"
            " and another must follow"
        )
    if not shape or shape[0][0] == "as_int":
        return {}
    return dict.fromkeys(symbols.symbols_of(shape[0][1]["expr_str"]), BATCH)


def _weight(spec: InputSpec, tensor: torch.Tensor, archive: Archive) -> torch.Tensor:
    """A weight without numbers that knows whether it is learnt, as the list of weights says."""
    if spec.kind is not InputKind.PARAMETER:
        return tensor
    meta = archive.weights.get(str(spec.target), {}).get("tensor_meta")
    learnt = tensor.requires_grad if meta is None else bool(meta["requires_grad"])
    return nn.Parameter(tensor.detach(), requires_grad=learnt)


def _constants(archive: Archive) -> dict[str, torch.Tensor]:
    """Tensors that the program holds, such as indices; on the meta device if they are kept apart.

    Raises:
        ValueError: their bytes are not those of their sizes.
    """
    if archive.pickled:
        held = torch.load(io.BytesIO(archive.pickled), map_location="cpu", weights_only=True)
        return {key: each for key, each in held.items() if isinstance(each, torch.Tensor)}
    found = {}
    for name, payload in archive.constants.items():
        meta = payload["tensor_meta"]
        dtype = DTYPES[meta["dtype"]]
        sizes = [_number(each) for each in meta["sizes"]]
        data = archive.raw.get(payload["path_name"], b"")
        if not data:
            device = "cpu" if prod(sizes) == 0 else "meta"
            found[name] = torch.empty(sizes, dtype=dtype, device=device)
            continue
        flat = torch.frombuffer(bytearray(data), dtype=dtype)
        strides = [_number(each) for each in meta["strides"]]
        start = _number(meta["storage_offset"])
        reach = start + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if min(sizes, default=1) > 0 and not 0 <= reach < len(flat):
            raise ValueError(f"{name} is longer than its data")
        found[name] = flat.as_strided(sizes, strides, start)
    return found


def _number(written: Any) -> int:
    kind, value = only(written)
    if kind != "as_int" or type(value) is not int or value < 0:
        raise ValueError("a constant has no sizes")
    return value


def _exported(program: FileProgram) -> ExportedProgram:
    from torch._export.verifier import load_verifier
    from torch.export import ExportedProgram, ModuleCallEntry, ModuleCallSignature
    from torch.utils import _pytree as pytree

    specs = program.graph_signature.input_specs
    inputs = sum(spec.kind is InputKind.USER_INPUT for spec in specs)
    outputs = sum(
        spec.kind is OutputKind.USER_OUTPUT for spec in program.graph_signature.output_specs
    )
    call = ModuleCallSignature(
        inputs=[],
        outputs=[],
        in_spec=pytree.tree_structure(((0,) * inputs, {})),
        out_spec=pytree.tree_structure((0,) * outputs),
    )
    return ExportedProgram(
        root=program.builder.module(),
        graph=program.graph,
        graph_signature=program.graph_signature,
        state_dict=dict(program.state_dict),
        range_constraints={},
        module_call_graph=[ModuleCallEntry(fqn="", signature=call)],
        constants=dict(program.constants),
        verifiers=[load_verifier("TRAINING")],
    )
