"""The shape of every tensor of an ONNX file: onnx's own inference, but for one rule.

Below operator set 22 onnx lets the last window of a pool with `ceil_mode` begin in the padding
behind the image. PyTorch, which wrote most such files, and onnxruntime do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import shape_inference

from cnncalc.errors import UsageError

if TYPE_CHECKING:
    import onnx

POOLS = frozenset(("MaxPool", "AveragePool", "LpPool"))


def with_shapes(model: onnx.ModelProto, file: str) -> onnx.ModelProto:
    """The model with the shapes of its tensors, as far as they can be told.

    Raises:
        UsageError: its shapes contradict each other.
    """
    inferred = _inferred(model, file)
    changed: dict[int, onnx.NodeProto] = {}
    for _ in range(_pools_in_a_row(model)):
        if not _shorten(model, inferred, changed):
            break
        inferred = _inferred(model, file)
    for place, node in changed.items():
        inferred.graph.node[place].CopyFrom(node)
    return inferred


def _inferred(model: onnx.ModelProto, file: str) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{file}: onnx cannot infer its shapes: {reason}") from None


def _pools_in_a_row(model: onnx.ModelProto) -> int:
    """At most so often a pool stands behind another whose size was wrong."""
    return sum(node.op_type in POOLS for node in model.graph.node)


def _shorten(
    model: onnx.ModelProto, inferred: onnx.ModelProto, changed: dict[int, onnx.NodeProto]
) -> bool:
    """Gives pools that onnx finds too large pads by which it finds their size; whether there were
    any. What they were goes into `changed`, by their places.
    """
    before_this = len(changed)
    shapes = {
        each.name: [size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input)
    }
    for place, node in enumerate(model.graph.node):
        if node.op_type not in POOLS or node.domain:
            continue
        values = {each.name: each for each in node.attribute}
        before, found = shapes.get(node.input[0], []), shapes.get(node.output[0], [])
        if not _rounds_up(values) or not all(before[2:]) or len(found) != len(before):
            continue
        pads = _pads_for(values, before[2:], found[2:])
        if pads is not None:
            changed[place] = type(node)()
            changed[place].CopyFrom(node)
            values["ceil_mode"].i = 0
            kept = [each for each in node.attribute if each.name != "pads"]
            del node.attribute[:]
            node.attribute.extend(kept)
            added = node.attribute.add()
            added.name, added.type = "pads", added.INTS
            added.ints.extend(pads)
    if len(changed) > before_this:
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
    return len(changed) > before_this


def _rounds_up(values: dict[str, onnx.AttributeProto]) -> bool:
    auto = values["auto_pad"].s if "auto_pad" in values else b"NOTSET"
    return "ceil_mode" in values and bool(values["ceil_mode"].i) and auto == b"NOTSET"


def _pads_for(
    values: dict[str, onnx.AttributeProto], sizes: list[int], found: list[int]
) -> list[int] | None:
    """Pads that, rounded down, give the sizes of the rule; None where onnx has them already."""
    axes = len(sizes)
    kernel = [*values["kernel_shape"].ints]
    strides = [*values["strides"].ints] if "strides" in values else [1] * axes
    dilations = [*values["dilations"].ints] if "dilations" in values else [1] * axes
    pads = [*values["pads"].ints] if "pads" in values else [0] * 2 * axes
    if not len(kernel) == len(strides) == len(dilations) == axes or len(pads) != 2 * axes:
        return None
    if min(strides) < 1:
        return None
    wanted, after = [], []
    for size, k, s, d, front, back in zip(
        sizes, kernel, strides, dilations, pads[:axes], pads[axes:], strict=True
    ):
        extent = (k - 1) * d + 1
        out = -(-(size + front + back - extent) // s) + 1
        if (out - 1) * s >= size + front:
            out -= 1
        wanted.append(out)
        after.append((out - 1) * s + extent - size - front)
    return None if wanted == found else [*pads[:axes], *after]
