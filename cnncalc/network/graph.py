"""Architecture -> Graph: blocks, repeats, branches and expressions worked out, shapes inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import LimitError, Place, ReferenceSpecError, ShapeError, SpecError
from cnncalc.layers.base import Layer, Shape
from cnncalc.network.names import INPUT
from cnncalc.spec.limits import MAX_NODES, check_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnncalc.spec.architecture import Imported
    from cnncalc.spec.init_section import Initialization
    from cnncalc.spec.items import Item


class ScopeOutput(NamedTuple):
    """What a scope is, and the node whose output is its own."""

    kind: str
    """The name of a block, or group, residual, concat, branch …"""
    number: int
    item: Item | None = None
    """The item that the scope comes from; of a branch, its join's."""
    parameters: Mapping[str, Any] | None = None
    """Of a block call: the values that its items see."""


class Node(NamedTuple):
    """One layer at its place in the network. Shapes are `(C, *sizes)` or `(N,)`, of one sample."""

    number: int
    """Its index in the nodes of its graph."""
    name: str
    layer: Layer
    inputs: tuple[int, ...]
    """Indices of the nodes whose outputs it takes; `INPUT` for the network's input."""
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    item: Item
    first: int
    """Number of the first node whose layer and input shapes are equal to its own."""
    frozen: bool = False
    shares: int | None = None
    """Index of the node whose weights it uses."""

    @property
    def place(self) -> Place | None:
        return self.item.place


@dataclass(slots=True)
class Graph:
    """The nodes of a network in execution order; the last is not always the output."""

    name: str
    source: str
    input_shape: Shape
    init: Initialization
    """How the weights of its module start."""
    imported: Imported
    """What is known of the network that it was imported from."""
    nodes: list[Node] = field(default_factory=list)
    output: int = INPUT
    scopes: dict[str, ScopeOutput] = field(default_factory=dict)
    """Every block call, group, join and branch by its path."""
    _known: dict[tuple[Layer, tuple[Shape, ...]], tuple[Shape, int]] = field(default_factory=dict)
    """The output shape of a layer for inputs of these shapes, and the first node that has it so."""

    def shape_of(self, index: int) -> Shape:
        return self.input_shape if index == INPUT else self.nodes[index].output_shape

    def name_of(self, index: int) -> str:
        return "input" if index == INPUT else self.nodes[index].name

    def append(
        self,
        name: str,
        layer: Layer,
        inputs: tuple[int, ...],
        item: Item,
        *,
        frozen: bool = False,
        shares: int | None = None,
    ) -> int:
        """Adds a node and returns its index.

        Raises:
            ShapeError: the layer does not fit its inputs.
            LimitError: the network is larger than its bounds.
        """
        index = len(self.nodes)
        if index >= MAX_NODES:
            raise LimitError(
                f"the network has over {MAX_NODES:,} layers", place=item.place, path=name
            )
        shapes = tuple(self.shape_of(source) for source in inputs)
        try:
            output_shape, first = self._infer(layer, shapes)
        except SpecError as error:
            raise self._explained(error, name, item) from None
        node = Node(index, name, layer, inputs, shapes, output_shape, item, first, frozen, shares)
        self.nodes.append(node)
        if shares is not None:
            self._check_shared(node)
        return index

    def check_buildable(self) -> None:
        """Raises `ShapeError` if an operation of an imported network has no layer."""
        for node in self.nodes:
            operation = node.layer.stands_for
            if operation is not None:
                raise ShapeError(
                    f"{operation} has no layer: the network can be tabulated, not built",
                    place=node.place,
                    path=node.name,
                    hint="write what it does with other layers in its place",
                )

    def check_outputs(self) -> None:
        """Raises `ReferenceSpecError` if a node's output is used by nothing but is not the last."""
        used = {index for node in self.nodes for index in node.inputs}
        for node in self.nodes:
            if node.number != self.output and node.number not in used:
                raise ReferenceSpecError(
                    "nothing uses its output: a network has one output",
                    place=node.place,
                    path=node.name,
                    hint="name it in the inputs of a later item, or remove it",
                )

    def _infer(self, layer: Layer, shapes: tuple[Shape, ...]) -> tuple[Shape, int]:
        key = (layer, shapes)
        known = self._known.get(key)
        if known is not None:
            return known
        if len(shapes) != 1 and not layer.several:
            raise ShapeError(f"takes one input; received {len(shapes)}")
        shape = tuple(int(size) for size in layer.output_shape(*shapes))
        weights = layer.weights(*shapes).values()
        for what, tensor in [("output", shape), *(("weight", w) for w in weights)]:
            check_bounds(f"its {what}", [int(size) for size in tensor])
        known = self._known[key] = shape, len(self.nodes)
        return known

    def _explained(self, error: SpecError, name: str, item: Item) -> SpecError:
        if isinstance(error, ShapeError):
            error.graph = self
        return error.at(item.place, name)

    def _check_shared(self, node: Node) -> None:
        assert node.shares is not None
        owner = self.nodes[node.shares]
        mine, others = (
            {k: [*map(int, w)] for k, w in n.layer.weights(*n.input_shapes).items()}
            for n in (node, owner)
        )
        if type(node.layer) is not type(owner.layer) or mine != others or not mine:
            raise ShapeError(
                f"cannot share the weights of {owner.name}: they differ in kind or shape, or there"
                " are none",
                place=node.item.option_place("shares"),
                path=node.name,
            )
