"""What a built module is and costs, layer by layer, measured on the meta device.

The meta device has shapes and no numbers, so the largest network costs no memory. Two samples flow
through it: a layer that takes the batch for something else is found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils.flop_counter import FlopCounterMode

from cnncalc.layers.merge import Merge
from cnncalc.pytorch.compiler import compile_graph

if TYPE_CHECKING:
    from torch import nn

    from cnncalc.layers.base import Shape
    from cnncalc.network.graph import Graph, Node

BATCH = 2


class Ran(NamedTuple):
    """What came out of a module, for one sample; or why nothing did."""

    output_shape: Shape = ()
    multiply_adds: float = 0
    bytes: float = 0
    problem: str = ""


class Tensors(NamedTuple):
    """The tensors of one layer's module; those that an earlier layer has are not counted."""

    weights: dict[str, Shape]
    buffers: dict[str, Shape]
    parameters: int
    frozen_parameters: int


class Measured(NamedTuple):
    """The module of a graph, measured."""

    model: fx.GraphModule
    layers: list[Ran]
    """Each at the inputs that the table states for it."""
    tensors: list[Tensors]
    whole: Ran
    """The module as users run it."""


def measure(graph: Graph) -> Measured:
    """Builds the module of a graph on the meta device and measures it.

    Raises:
        Exception: whatever a layer that cannot be built raises.
    """
    with torch.device("meta"):
        model = compile_graph(graph)
        x = torch.empty(BATCH, *graph.input_shape)
    model.eval()
    with torch.no_grad():
        layers = _Layers(model, graph).measured(x)
        whole = _run(model, x)
    return Measured(model, layers, _tensors(model, graph), whole)


def culprit(graph: Graph) -> tuple[Node, str] | None:
    """The first layer that cannot be built, and why."""
    from cnncalc.pytorch.modules import namespace

    for node in graph.nodes:
        try:
            with torch.device("meta"):
                node.layer.build(namespace, *node.input_shapes)
        except Exception as error:  # noqa: BLE001 - a layer class may do anything
            return node, explain(error)
    return None


def explain(error: Exception) -> str:
    """`RuntimeError: …`, on one line."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}"


def _run(model: nn.Module, x: Tensor) -> Ran:
    with FlopCounterMode(display=False) as counter:
        try:
            y = model(x)
        except Exception as error:  # noqa: BLE001 - a layer class may do anything
            return Ran(problem=explain(error))
    return _ran(y, counter.get_total_flops())


def _ran(y: Any, flops: int) -> Ran:
    """What a result says of one sample."""
    if not isinstance(y, Tensor):
        return Ran(problem=f"returns a {type(y).__name__}")
    if y.dim() == 0 or len(y) != BATCH:
        return Ran(problem=f"turns a batch of {BATCH} into the shape {[*y.shape]}")
    size = y.numel() * y.element_size()
    return Ran(tuple(y.shape[1:]), _shared(flops, 2 * BATCH), _shared(size, BATCH))


def _shared(count: int, among: int) -> float:
    """`count / among`, whole where it is."""
    each, rest = divmod(count, among)
    return count / among if rest else each


class _Layers(fx.Interpreter):
    """Runs a module node by node, each at the shapes that the table states."""

    def __init__(self, model: fx.GraphModule, graph: Graph) -> None:
        super().__init__(model)
        self.nodes = graph.nodes
        self.results = [Ran(problem="is not in the module")] * len(graph.nodes)
        self.spent = [0] * len(graph.nodes)
        self.failed: dict[int, Ran] = {}
        rows = ((node.meta.get("row"), node) for node in model.graph.nodes)
        self.last = {row: node for row, node in rows if row is not None}

    def measured(self, x: Tensor) -> list[Ran]:
        with FlopCounterMode(display=False) as self.counter:
            self.run(x)
        return self.results

    def run_node(self, n: fx.Node) -> Any:
        row = n.meta.get("row")
        if row is None:
            return super().run_node(n)
        before, y = self.counter.get_total_flops(), None
        try:
            y = super().run_node(n)
        except Exception as error:  # noqa: BLE001 - a layer class may do anything
            self.failed.setdefault(row, Ran(problem=explain(error)))
        self.spent[row] += self.counter.get_total_flops() - before
        self.results[row] = self.failed.get(row) or _ran(y, self.spent[row])
        if self.last[row] is not n and y is not None:
            return y  # a join of several operands
        return torch.empty(BATCH, *self.nodes[row].output_shape, device="meta")


def _tensors(model: fx.GraphModule, graph: Graph) -> list[Tensors]:
    counted: set[int] = set()
    return [_tensors_of(model, node, counted) for node in graph.nodes]


def _tensors_of(model: fx.GraphModule, node: Node, counted: set[int]) -> Tensors:
    if isinstance(node.layer, Merge):
        return Tensors({}, {}, 0, 0)
    module = model.get_submodule(node.name)
    learnt = frozen = 0
    weights, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    for parameter in weights.values():
        if id(parameter) not in counted:
            counted.add(id(parameter))
            learnt += parameter.numel() * parameter.requires_grad
            frozen += parameter.numel() * (not parameter.requires_grad)
    return Tensors(_shapes(weights), _shapes(buffers), learnt, frozen)


def _shapes(tensors: dict[str, Any]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
