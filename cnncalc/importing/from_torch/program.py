"""An exported program of PyTorch -> a sketch: its operations as layers of ours.

Nothing is computed: shapes are those that torch.export recorded with each operation.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, fx
from torch.export.graph_signature import InputKind

from cnncalc.errors import UsageError
from cnncalc.importing.from_torch import operators, shape_operators
from cnncalc.importing.from_torch.aliases import changes_what_is_seen_elsewhere, graphs_of
from cnncalc.importing.from_torch.operators import FOLDED, PASSED_ON
from cnncalc.importing.from_torch.shape_operators import BROADCAST
from cnncalc.importing.from_torch.tracing import BATCH
from cnncalc.importing.sketch.operations import (
    Call,
    Operation,
    Sketch,
    Unfit,
    Weight,
    containers,
)
from cnncalc.importing.sketch.site import Site
from cnncalc.pytorch.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn
    from torch.export import ExportedProgram
    from torch.export.graph_signature import ExportGraphSignature

    from cnncalc.layers.base import Shape

REGIONS = ("wrap_with_set_grad_enabled", "wrap_with_autocast")
"""What torch.export makes of `with torch.no_grad():` and `with torch.autocast(…):`."""
TRANSLATORS = {**operators.TRANSLATORS, **shape_operators.TRANSLATORS}


def read_program(program: Program, name: str) -> Sketch:
    """The sketch of an exported program.

    Raises:
        UsageError: it does not take one tensor of fixed sizes, or has no tensor as its output.
    """
    if any(map(changes_what_is_seen_elsewhere, graphs_of(program))):
        with quiet():
            program = program.run_decompositions({})  # the same without operations in place
    return _Reader(program, name).run()


class Program(Protocol):
    """What is read of a program, wherever it comes from."""

    @property
    def graph(self) -> fx.Graph: ...
    @property
    def graph_module(self) -> nn.Module: ...
    @property
    def graph_signature(self) -> ExportGraphSignature: ...
    @property
    def state_dict(self) -> Mapping[str, Any]: ...
    @property
    def constants(self) -> Mapping[str, Any]: ...
    def run_decompositions(self, table: dict[Any, Any], /) -> ExportedProgram: ...


class _Reader:
    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name
        self.values: dict[fx.Node, Any] = {}
        self.kept: dict[str, Weight] = {}
        """Every parameter by its name."""
        specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
        entries = []
        for node in program.graph.nodes:
            if node.op == "placeholder":
                spec = specs[node.name]
                if spec.kind is InputKind.USER_INPUT:
                    entries.append(node)
                else:
                    self.values[node] = self.weight(node, spec.target or node.name, spec.kind)
        tensors = [node for node in entries if isinstance(node.meta.get("val"), Tensor)]
        if len(tensors) != 1:
            names = ", ".join(node.name for node in tensors) or "none"
            raise UsageError(
                f"{name}: a network has one input; this one has {len(tensors)} ({names})"
            )
        shape = tensors[0].meta["val"].shape
        self.batch = shape[0] if shape else None
        if len(shape) < 2 or not all(isinstance(size, int) for size in shape[1:]):
            raise UsageError(
                f"{name}: its input has the shape {[*map(str, shape)]}; only the first axis, the"
                " batch, may vary, and another must follow"
            )
        self.sketch = Sketch(name, tuple(shape[1:]))
        self.values[tensors[0]] = self.sketch.entry

    def run(self) -> Sketch:
        output = self.read(self.program.graph_module, self.program.graph)
        self.sketch.output = self.output(output)
        self.note_what_is_left_out()
        return self.sketch

    def read(self, module: Any, graph: fx.Graph) -> fx.Node:
        """Translates a graph whose inputs have their values; returns its output."""
        for node in graph.nodes:
            if node.op == "call_function":
                self.values[node] = self.call(node)
            elif node.op == "get_attr":
                self.values[node] = _attribute(module, str(node.target))
        return graph.output_node()

    def part_of(self, node: fx.Node) -> fx.GraphModule | None:
        """What a region runs; of a `.pt2`, whose parts are not read, none."""
        values = map(self.values.get, node.all_input_nodes)
        return next((each for each in values if isinstance(each, fx.GraphModule)), None)

    def region(self, node: fx.Node, module: fx.GraphModule) -> list[Any]:
        """The values of a part that runs with other settings, such as `torch.no_grad()`."""
        inputs = [each for each in module.graph.nodes if each.op == "placeholder"]
        nodes = [each for each in node.args if isinstance(each, fx.Node)]
        for inner, outer in zip(inputs, nodes[len(nodes) - len(inputs) :], strict=True):
            self.values[inner] = self.values[outer]
        output = self.read(module, module.graph)
        return [*_flat(fx.map_arg(output.args, self.values.get))]

    def weight(self, node: fx.Node, name: str, kind: InputKind) -> Any:
        value = node.meta["val"]
        if kind is InputKind.CONSTANT_TENSOR:
            return self.program.constants.get(name, value)
        learnt = kind is InputKind.PARAMETER
        tensor = self.program.state_dict.get(name) if learnt else None
        learnt = learnt and (tensor is None or tensor.requires_grad)
        weight = Weight(name, tuple(value.shape), learnt)
        if kind is InputKind.PARAMETER:
            self.kept[name] = weight
        return weight

    def call(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            return self.item(node)
        if str(node.target) in REGIONS and (module := self.part_of(node)) is not None:
            return self.region(node, module)
        values = [*_flat(fx.map_arg((node.args, node.kwargs), self.values.get))]
        if not isinstance(node.meta.get("val"), Tensor | list | tuple):
            return None  # a size
        name = str(node.target).removeprefix("aten.")
        base = name.partition(".")[0]
        arguments = self.arguments(node)
        if not any(isinstance(value, Operation) for value in values):
            return self.computed(node, base, arguments, values)
        in_place = base.endswith("_") and not base.startswith("_")
        made = self.translated(node, base.rstrip("_") if in_place else base, arguments)
        if in_place and isinstance(node.args[0], fx.Node):
            self.values[node.args[0]] = made
        return made

    def arguments(self, node: fx.Node) -> dict[str, Any]:
        """Every argument by its name in the operator's schema, or its place if it has none."""
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            given = dict(enumerate(node.args)) | dict(node.kwargs)
            return {str(key): fx.map_arg(each, self.values.get) for key, each in given.items()}
        bound = {each.name: each.default_value for each in schema.arguments}
        bound |= dict(zip(bound, node.args, strict=False)) | dict(node.kwargs)
        return {key: fx.map_arg(value, self.values.get) for key, value in bound.items()}

    def translated(self, node: fx.Node, name: str, arguments: dict[str, Any]) -> Any:
        site = self.site(node, arguments)
        translate = TRANSLATORS.get(name)
        if translate is not None and (site.keeps_batch or name in FOLDED):
            try:
                made = translate(site)
            except (Unfit, KeyError, TypeError, ValueError, IndexError):
                made = None
            fits = not isinstance(made, Operation) or made.shape == site.shape
            if made is not None and (fits or name in BROADCAST):
                return made
        if isinstance(node.meta["val"], Tensor):
            return site.unknown()
        return None  # its parts are unknown ones, each by itself

    def site(self, node: fx.Node, arguments: dict[str, Any]) -> Site:
        value = node.meta["val"]
        first = value if isinstance(value, Tensor) else next(_tensors(value), None)
        inputs = [each.meta.get("val") for each in node.all_input_nodes]
        flowing = [
            meta
            for each, meta in zip(node.all_input_nodes, inputs, strict=True)
            if isinstance(meta, Tensor) and isinstance(self.values.get(each), Operation)
        ]
        return Site(
            sketch=self.sketch,
            origin=str(node.target),
            arguments=arguments,
            shape=() if first is None else self.sample(first),
            calls=_calls(node),
            keeps_batch=first is not None and all(map(self.has_batch, (*flowing, first))),
            users=tuple(str(user.target) for user in node.users),
        )

    def has_batch(self, value: Tensor) -> bool:
        return bool(value.dim()) and str(value.shape[0]) == str(self.batch)

    def sample(self, value: Tensor) -> Shape:
        """The shape of what one sample is, or comes to where an axis holds several for each."""
        sizes = [size if isinstance(size, int) else 0 for size in value.shape]
        if self.has_batch(value):
            return tuple(sizes[1:])
        if not isinstance(self.batch, int) or self.batch < 2:
            return tuple(sizes)
        if self.batch != BATCH:  # a file's own, such as 2, may be any other size as well
            several = bool(sizes) and sizes[0] % self.batch == 0
            return (sizes[0] // self.batch, *sizes[1:]) if several else tuple(sizes)
        rest = (size for size in sizes if size != BATCH)
        return tuple(size // BATCH if size % BATCH == 0 else size for size in rest)

    def item(self, node: fx.Node) -> Any:
        source, index = node.args
        assert isinstance(source, fx.Node)
        parts = self.values.get(source)
        if isinstance(parts, list | tuple):
            return parts[index]  # type: ignore[index]
        if isinstance(parts, Operation):
            return parts if index == 0 else None
        if not isinstance(node.meta.get("val"), Tensor):
            return None
        value = node.meta["val"]
        site = self.site(source, self.arguments(source))
        site = replace(site, shape=self.sample(value), origin=f"{source.target}[{index}]")
        return site.unknown()

    def computed(self, node: fx.Node, name: str, arguments: dict[str, Any], values: Any) -> Any:
        """What is computed from weights and constants alone."""
        value = node.meta["val"]
        first = next(iter(arguments.values()), None)
        if name in PASSED_ON and not isinstance(first, Weight):
            return first
        names = [each for each in values if isinstance(each, Weight)]
        if not isinstance(value, Tensor) or not names:
            return None
        same = name in PASSED_ON or name in ("view", "reshape", "unsqueeze", "squeeze", "flatten")
        if isinstance(first, Weight) and same:
            return first.reshaped(tuple(value.shape))
        if isinstance(first, Weight) and name in ("t", "numpy_T") and len(first.shape) == 2:
            return first.transposed()
        if isinstance(first, Weight) and name in ("transpose", "permute"):
            return _permuted(first, arguments)
        return Weight(names[0].name, tuple(value.shape), names[0].learnt, derived=True)

    def output(self, node: fx.Node) -> Operation:
        found = _flat(fx.map_arg(node.args, self.values.get))
        made = [value for value in found if isinstance(value, Operation)]
        if not made:
            raise UsageError(f"{self.name}: its output is no tensor that depends on its input")
        others = [value for value in dict.fromkeys(made[1:]) if value is not made[0]]
        self.sketch.left_out.outputs.extend(each.place or each.origin for each in others)
        return made[0]

    def note_what_is_left_out(self) -> None:
        used = {w.name for each in self.sketch.operations() for w in each.weights.values()}
        state = self.program.state_dict
        again = {id(state[name]) for name in used if name in state}  # a tensor under two names
        self.sketch.left_out.parameters.update(
            (name, prod(weight.shape))
            for name, weight in self.kept.items()
            if name not in used and id(state.get(name)) not in again
        )


def _permuted(weight: Weight, arguments: dict[str, Any]) -> Weight:
    """A weight with its axes in another order; of more than two, it counts as computed."""
    axes = [*range(len(weight.shape))]
    if "dims" in arguments:
        order = [axis % len(axes) for axis in arguments["dims"]]
    else:
        order, a, b = axes[:], arguments["dim0"], arguments["dim1"]
        order[a], order[b] = order[b], order[a]
    if order == axes:
        return weight
    if len(axes) == 2:
        return weight.transposed()
    return weight._replace(shape=tuple(weight.shape[axis] for axis in order), derived=True)


def _attribute(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Operation | Weight):
        yield value
    elif isinstance(value, dict):
        yield from _flat([*value.values()])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _tensors(value: Any) -> Iterator[Tensor]:
    parts = value if isinstance(value, list | tuple) else (value,)
    return (part for part in parts if isinstance(part, Tensor))


def _calls(node: fx.Node) -> tuple[Call, ...]:
    """The calls of modules around an operation, without the network's own."""
    calls: list[Call] = []
    for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
        if not path:
            continue
        around = calls[-1] if calls else Call("", "", "")
        calls += containers(around, path)
        name = kind if isinstance(kind, str) else kind.__qualname__
        calls.append(Call(key, path, name.rpartition(".")[2]))
    return tuple(calls)
