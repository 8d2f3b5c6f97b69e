"""An .onnx file -> a sketch: its nodes as layers of ours. Needs onnx, not PyTorch.

Shapes are those that onnx's own inference finds; weights stay on the disk if they are kept apart.
"""

from __future__ import annotations

import ast
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from cnncalc.errors import UsageError, shorten
from cnncalc.importing.from_onnx import operators, shape_operators
from cnncalc.importing.from_onnx.constants import (
    SMALL,
    array_of,
    evaluated,
    filling_of,
    is_small,
    is_vector,
    value_of,
    weight_of,
)
from cnncalc.importing.from_onnx.shapes import with_shapes
from cnncalc.importing.sketch.operations import (
    OF,
    Call,
    Operation,
    Sketch,
    Unfit,
    Weight,
    containers,
)
from cnncalc.importing.sketch.site import Arguments, Site
from cnncalc.spec.limits import MAX_NODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.layers.base import Shape

TRANSLATORS = {**operators.TRANSLATORS, **shape_operators.TRANSLATORS}
IGNORED = {**operators.TRANSLATORS.ignored, **shape_operators.TRANSLATORS.ignored}
BATCH = 2
"""Samples where the file leaves their number open."""
SETTINGS = {
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Pad": (1, 2, 3),
    "Clip": (1, 2),
    "Dropout": (1, 2),
}
"""Inputs that say what an operator does, and are no parameters."""
WEIGHED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
"""Operators whose second input is a weight, whatever its shape."""


def read_file(file: str) -> Sketch:
    """The sketch of an ONNX file.

    Raises:
        UsageError: it is damaged, does not take one tensor of fixed sizes, or keeps data outside
            its folder.
    """
    try:
        model = onnx.load(file, load_external_data=False)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (DecodeError, ValueError) as error:
        raise UsageError(f"{file}: is no ONNX file: {error}") from None
    if not model.graph.node:
        raise UsageError(f"{file}: is no ONNX file, or holds no network")
    if len(model.graph.node) > MAX_NODES:
        raise UsageError(
            f"{file}: has {len(model.graph.node):,} nodes; a network has at most {MAX_NODES:,}"
        )
    _check_external_data(model, file)
    return _Reader(model, file).run()


def _check_external_data(model: onnx.ModelProto, file: str) -> None:
    """No tensor, wherever it stands, keeps its data outside the file's folder.

    Raises:
        UsageError: one does.
    """
    folder = Path(file).parent.resolve()
    for tensor in _tensors(model):
        for each in tensor.external_data:
            place = Path(each.value)
            if each.key == "location" and not (
                each.value
                and "\0" not in each.value
                and not place.is_absolute()
                and not {"..", "\\"} & {*place.parts, *each.value}
                and (folder / place).resolve().is_relative_to(folder)
            ):
                raise UsageError(
                    f"{file}: the data of {shorten(tensor.name)} are in {shorten(each.value)},"
                    " outside the file's folder, where nothing is read; put them beside the file"
                )


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor in a message: also those of attributes, inner graphs and functions."""
    pending = [message]
    while pending:
        message = pending.pop()
        if isinstance(message, onnx.TensorProto):
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending += [value] if hasattr(value, "ListFields") else value


class _Reader:
    def __init__(self, model: onnx.ModelProto, file: str) -> None:
        graph = model.graph
        self.file = file
        self.constants = {each.name: each for each in graph.initializer}
        entries = [each for each in graph.input if each.name not in self.constants]
        if len(entries) != 1:
            names = ", ".join(each.name for each in entries) or "none"
            raise UsageError(
                f"{file}: a network has one input; this one has {len(entries)} ({names})"
            )
        sizes = entries[0].type.tensor_type.shape.dim
        if len(sizes) < 2 or not all(size.dim_value > 0 for size in sizes[1:]):
            shape = [size.dim_value or size.dim_param or "?" for size in sizes]
            raise UsageError(
                f"{file}: its input has the shape {shape}; only the first axis, the batch, may"
                " vary, and another must follow"
            )
        if sizes[0].dim_value < 1:
            sizes[0].Clear()
            sizes[0].dim_value = BATCH
            del graph.value_info[:]
            for output in graph.output:
                output.type.tensor_type.ClearField("shape")
        self.batch = sizes[0].dim_value
        self.graph = with_shapes(model, file).graph
        self.shapes = {
            each.name: [size.dim_value for size in each.type.tensor_type.shape.dim]
            for each in (*self.graph.value_info, *self.graph.output, *entries)
        }
        self.sketch = Sketch(Path(file).stem, tuple(size.dim_value for size in sizes[1:]))
        self.values: dict[str, Any] = {entries[0].name: self.sketch.entry, "": None}
        self.values |= {name: weight_of(each) for name, each in self.constants.items()}
        self.opset = max(
            (each.version for each in model.opset_import if not each.domain), default=1
        )

    def run(self) -> Sketch:
        for node in self.graph.node:
            self.read(node)
        outputs = [self.values.get(each.name) for each in self.graph.output]
        if not outputs or not isinstance(outputs[0], Operation):
            raise UsageError(f"{self.file}: its output is no tensor that depends on its input")
        self.sketch.output = outputs[0]
        if len(outputs) > 1:
            left = ", ".join(each.name for each in self.graph.output[1:])
            self.sketch.notes.append(
                f"only the first of its {len(outputs)} outputs is in the spec; left out: {left}"
            )
        self.note_what_is_left_out()
        return self.sketch

    def read(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant":
            self.values[node.output[0]] = self.constant(node)
            return
        inputs = [self.input(node, place, name) for place, name in enumerate(node.input)]
        attributes = {each.name: value_of(each) for each in node.attribute}
        if node.op_type == "Shape" and all(self.shapes.get(node.input[0], [0])):
            self.values[node.output[0]] = np.array(self.shapes[node.input[0]])
            return
        if not any(isinstance(value, Operation) for value in inputs):
            computed = (
                self.computed(node, inputs)
                if is_small(node, inputs, self.shapes.get(node.output[0], [0]))
                else []
            )
            self.values |= zip(node.output, computed, strict=False)
            return
        made = self.translated(node, inputs, attributes)
        made = made if isinstance(made, list) else [made]
        self.values |= dict(zip(node.output, made, strict=False))

    def constant(self, node: onnx.NodeProto) -> Any:
        """What a node holds: a weight as an initializer would be, or a plain value."""
        held = next(iter(node.attribute), None)
        if held is None:
            return None
        if held.type != onnx.AttributeProto.TENSOR:
            return value_of(held)
        tensor = held.t
        tensor.name = node.output[0]
        self.constants[tensor.name] = tensor
        return weight_of(tensor)

    def input(self, node: onnx.NodeProto, place: int, name: str) -> Any:
        """The value of an input of a node.

        Raises:
            UsageError: no node before it gives it.
        """
        if name not in self.values:
            raise UsageError(
                f"{self.file}: {shorten(node.name or node.op_type)} takes {shorten(name)}, which no"
                " node before it gives"
            )
        value = self.values[name]
        if not isinstance(value, Weight):
            return value
        if place in SETTINGS.get(node.op_type, ()) and prod(value.shape) <= SMALL:
            return array_of(self.constants.get(name))
        if place == 1 and node.op_type in WEIGHED:
            return value
        if not is_vector(value):
            return value
        value = value._replace(name=f"{value.name}{OF}{node.output[0]}")
        return value._replace(filled=filling_of(self.constants.get(name)))

    def translated(self, node: onnx.NodeProto, inputs: list[Any], attributes: Any) -> Any:
        site = self.site(node, inputs, attributes, node.output[0])
        translate = TRANSLATORS.get(node.op_type) if not node.domain else None
        if translate is not None and site.keeps_batch:
            try:
                made = translate(site)
            except (Unfit, KeyError, TypeError, ValueError, IndexError, AttributeError):
                made = None
            if made is not None and not self.unseen(node, site):
                return made
        if sum(map(bool, node.output)) == 1:
            return site.unknown()
        return [self.site(node, inputs, attributes, name).unknown() for name in node.output]

    def unseen(self, node: onnx.NodeProto, site: Site) -> set[str]:
        """Attributes and inputs that were not looked at: what they change is not in the layer."""
        assert isinstance(site.arguments, Arguments)
        given = {each.name for each in node.attribute}
        given |= {f"in{place}" for place, name in enumerate(node.input) if name}
        return given - site.arguments.seen - IGNORED.get(node.op_type, frozenset())

    def site(self, node: onnx.NodeProto, inputs: list[Any], attributes: Any, output: str) -> Site:
        shape = self.shapes.get(output, [])
        flowing = [
            self.shapes.get(name, [])
            for name, value in zip(node.input, inputs, strict=True)
            if isinstance(value, Operation)
        ]
        names = {f"in{index}": value for index, value in enumerate(inputs)}
        outputs = {"outputs": [self.shapes.get(name, [])[1:] for name in node.output]}
        return Site(
            sketch=self.sketch,
            origin=node.op_type,
            arguments=Arguments({**names, **attributes, **outputs, "opset": self.opset}),
            shape=self.sample(shape),
            calls=_calls(node, inputs),
            keeps_batch=all(each[:1] == [self.batch] for each in (shape, *flowing)),
        )

    def sample(self, shape: list[int]) -> Shape:
        if shape[:1] == [self.batch]:
            return tuple(shape[1:])
        if shape and shape[0] and shape[0] % self.batch == 0:
            return (shape[0] // self.batch, *shape[1:])
        return tuple(shape)

    def computed(self, node: onnx.NodeProto, inputs: list[Any]) -> list[Any]:
        """What is computed from weights and constants alone."""
        weights = [value for value in inputs if isinstance(value, Weight)]
        return [self.reshaped(node, weights[0])] if weights else evaluated(node, inputs)

    def reshaped(self, node: onnx.NodeProto, first: Weight) -> Weight:
        """What a node makes of a weight: the same in another shape, or another."""
        if node.op_type == "Identity":
            return first._replace(name=node.output[0])  # a copy that the exporter shares
        shape = tuple(self.shapes.get(node.output[0], ()))
        same = node.op_type in ("Reshape", "Unsqueeze", "Squeeze", "Flatten", "Cast")
        same = same and bool(shape) and prod(shape) == prod(first.shape)
        if same:
            return first.reshaped(shape)
        if node.op_type == "Transpose" and len(first.shape) == 2:
            perm = next((each.ints for each in node.attribute if each.name == "perm"), (1, 0))
            return first.transposed() if [*perm] == [1, 0] else first
        return first._replace(shape=shape, derived=True)

    def note_what_is_left_out(self) -> None:
        kept = {w.name for each in self.sketch.operations() for w in each.weights.values()}
        used = {name.partition(OF)[0] for name in kept}
        copied = {node.output[0]: node.input[0] for node in self.graph.node if node.input}
        used |= {copied[name] for name in used if name in copied}
        unknown = [
            value.name.partition(OF)[0]
            for operation in self.sketch.operations()
            for value in operation.arguments
            if operation.is_unknown and isinstance(value, Weight) and prod(value.shape) > 1
        ]
        left = [name for name in dict.fromkeys(unknown) if name not in used]
        kept_here = self.constants
        self.sketch.note_left_out(
            {name: prod(kept_here[name].dims) if name in kept_here else 0 for name in left}
        )


def _calls(node: onnx.NodeProto, inputs: list[Any]) -> tuple[Call, ...]:
    """The modules around a node: PyTorch's exporter notes them; else a weight's name tells one."""
    notes = {each.key: each.value for each in node.metadata_props}
    try:
        paths = _names(notes["pkg.torch.onnx.name_scopes"])
        kinds = _names(notes["pkg.torch.onnx.class_hierarchy"])
    except (KeyError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        paths = [
            value.name.rpartition(".")[0]
            for value in inputs
            if isinstance(value, Weight) and value.name.endswith(".weight")
        ]
        kinds = [""] * len(paths)
    calls: list[Call] = []
    for path, kind in zip(paths, kinds, strict=False):
        if path:
            calls += containers(calls[-1] if calls else Call("", "", ""), path)
            calls.append(Call(path, path, kind.rpartition(".")[2]))
    return tuple(calls)


def _names(text: str) -> list[str]:
    """A note's list of names, without the last."""
    names = ast.literal_eval(text)
    return [str(name) for name in [*names][:-1]]
