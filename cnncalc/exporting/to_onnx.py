"""A program of torch.export -> ONNX, where PyTorch's exporter needs a hand."""

from __future__ import annotations

import re
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import OutputError, UsageError, shorten
from cnncalc.exporting.opset import OPSETS
from cnncalc.layers.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool
from cnncalc.layers.pool import AvgPool, MaxPool
from cnncalc.layers.types import spread

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from cnncalc.network.graph import Graph, Node


def check_request(opset: int) -> None:
    """Raises `UsageError` if a package is missing, or the opset cannot be written."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if opset not in OPSETS:
        raise UsageError(f"opset must be {OPSETS[0]} to {OPSETS[-1]}; received {shorten(opset)}")


def prepare(model: nn.Module, graph: Graph) -> None:
    """Changes a model's pools to what computes the same and is translated as it should be.

    Raises:
        OutputError: there is no such pool.
    """
    for node in graph.nodes:
        if isinstance(node.layer, AvgPool | MaxPool) and node.layer.ceil_mode:
            _without_idle_ceil(model.get_submodule(node.name), node)
        if isinstance(node.layer, AvgPool) and node.layer.divisor_override is not None:
            _without_divisor(model.get_submodule(node.name), node)
        if isinstance(node.layer, AdaptiveAvgPool | AdaptiveMaxPool):
            _bin_by_bin(model.get_submodule(node.name), node)


def _without_idle_ceil(module: Any, node: Node) -> None:
    """PyTorch drops a last window that begins in the padding, which ONNX below 22 does not."""
    floored = node.layer.model_copy(update={"ceil_mode": False})
    if tuple(map(int, floored.output_shape(*node.input_shapes))) == node.output_shape:
        module.ceil_mode = False


def _without_divisor(module: Any, node: Node) -> None:
    """Scales the input: PyTorch's exporter leaves the divisor out, and says nothing."""
    if getattr(module, "ceil_mode", False):
        raise OutputError(f"ONNX has no divisor for windows that overhang: {node.name}: {module}")
    area = prod(spread("kernel_size", module.kernel_size, len(node.output_shape) - 1))
    factor = area / module.divisor_override
    module.divisor_override = None
    module.count_include_pad = True
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0] * factor,))


def _bin_by_bin(module: Any, node: Node) -> None:
    """Axis by axis: PyTorch's exporter has no bins of three axes, nor uneven ones of max pools."""
    sizes = node.input_shapes[0][1:]
    uneven = any(n % count for n, count in zip(sizes, node.output_shape[1:], strict=True))
    if not uneven and len(sizes) < 3:
        return
    reduce = torch.amax if isinstance(node.layer, AdaptiveMaxPool) else torch.mean

    def forward(x: Tensor) -> Tensor:
        for axis, count in enumerate(node.output_shape[1:], start=2):
            n = x.shape[axis]
            edges = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
            parts = [reduce(x.narrow(axis, a, b - a), axis, keepdim=True) for a, b in edges]
            x = torch.cat(parts, axis)
        return x

    module.forward = forward


def translate(
    program: torch.export.ExportedProgram, model: nn.Module, file: Path, *, opset: int
) -> None:
    """Writes the program of a model, with a dynamic batch; weights of over 2 GB lie beside.

    Raises:
        OutputError: ONNX cannot express the network, or not with this opset.
    """
    import onnx

    try:
        translated = torch.onnx.export(
            program,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["input"],
            output_names=["output"],
            opset_version=opset,
            verbose=False,
            optimize=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise OutputError(_untranslated(error, program, model)) from None
    assert translated is not None
    _optimize(translated)
    written = translated.model.opset_imports[""]
    if written != opset:  # PyTorch warns, and writes another
        raise OutputError(f"the network cannot be written with opset {opset}, only {written}")
    translated.save(file)
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise OutputError(
            f"ONNX's checker refuses the network in opset {opset}: {reason};"
            f" try opset {OPSETS[-1]}, or .pt2"
        ) from None


def _optimize(translated: torch.onnx.ONNXProgram) -> None:
    """Folds constants, but no normalisation into a convolution: each layer stays in the file."""
    norms = [node for node in translated.model.graph if node.op_type == "BatchNormalization"]
    for node in norms:
        node.domain = "kept"
    translated.optimize()
    for node in norms:
        node.domain = ""


def _untranslated(error: Exception, program: torch.export.ExportedProgram, model: nn.Module) -> str:
    """What has no form in ONNX, by the name of its layer if the error tells its operation."""
    cause = str(error.__cause__ or error)
    operation = re.search(r"node %(\w+)", cause)
    for node in program.graph.nodes:
        if operation and node.name == operation[1] and node.meta.get("nn_module_stack"):
            name = [*node.meta["nn_module_stack"].values()][-1][0]
            return f"ONNX has no operators for {name}: {model.get_submodule(name)}"
    return f"ONNX has no operators for this network: {cause.partition(chr(10))[0]}"
