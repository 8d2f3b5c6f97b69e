"""Numbers that an ONNX file holds: weights, settings, and what is worked out of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from cnncalc.importing.from_onnx.operators import FLOATS
from cnncalc.importing.sketch.operations import Weight

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL = 4096
"""Most numbers of a tensor that is read as a constant, not as a weight."""
GROWING = frozenset(
    (
        *("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "Upsample", "EyeLike"),
        *("OneHot", "Einsum", "Sum", "Max", "Min", "Mean", "Scan", "Loop", "SequenceMap"),
        *("RandomNormal", "RandomUniform", "CenterCropPad", "Col2Im", "ConvTranspose", "MaxUnpool"),
    )
)
"""What makes large tensors of a few numbers."""


def weight_of(tensor: onnx.TensorProto) -> Any:
    """A weight; a small tensor of whole numbers, or a single number, as itself."""
    numbers = prod(tensor.dims)
    apart = tensor.data_location == onnx.TensorProto.EXTERNAL
    if not apart and (tensor.data_type not in FLOATS or not tensor.dims) and numbers <= SMALL:
        return numpy_helper.to_array(tensor)
    return Weight(tensor.name, tuple(tensor.dims))


def array_of(tensor: onnx.TensorProto | None) -> Any:
    """Its numbers; none where they are kept apart."""
    if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    return numpy_helper.to_array(tensor)


def filling_of(tensor: onnx.TensorProto | None) -> float | None:
    """The number that a tensor holds everywhere, if it does."""
    numbers = array_of(tensor)
    if numbers is None or numbers.size == 0:
        return None
    first = float(numbers.flat[0])
    return first if bool((numbers == first).all()) else None


def is_vector(value: Any) -> bool:
    """Whether it is a short weight: exporters keep equal ones once, whoever they belong to."""
    return isinstance(value, Weight) and prod(value.shape) == max(value.shape, default=1)


def evaluated(node: onnx.NodeProto, inputs: list[Any]) -> list[Any]:
    """The constants that a node makes of constants; none where it cannot be run."""
    from onnx.reference import ReferenceEvaluator

    given = {
        name: value for name, value in zip(node.input, inputs, strict=True) if value is not None
    }
    try:
        results: list[Any] = [*ReferenceEvaluator(node).run(None, given)]
    except Exception:  # noqa: BLE001 - whatever a file asks for
        return []
    return results if all(np.size(each) <= SMALL for each in results) else []


def value_of(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value) if not value.external_data else None
    return value


def is_small(node: onnx.NodeProto, inputs: list[Any], shape: Sequence[int]) -> bool:
    """Whether working out constants ends soon and fills no memory."""
    if any(each.HasField("g") or each.graphs for each in node.attribute):
        return False
    if node.op_type not in GROWING:
        return True
    if all(shape) and prod(shape) <= SMALL:
        return True
    given = [each for each in inputs if isinstance(each, np.ndarray)]
    sizes = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
    if node.op_type not in sizes or len(given) <= sizes[node.op_type]:
        return False
    asked = prod(int(size) for size in given[sizes[node.op_type]].flat)
    return asked * (given[0].size if node.op_type != "ConstantOfShape" else 1) <= SMALL
