"""Graph -> Summary: what every layer costs and sees. What is counted, and how, is stated here.

Conventions are declared in `CONVENTIONS` and printed under every table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.fields import UNKNOWN, Field, Uneven, even_formula, input_fields, joined, through
from cnncalc.formula import ZERO, Expr, expr
from cnncalc.layers.merge import Merge
from cnncalc.recorder import record
from cnncalc.scopes import INPUT

if TYPE_CHECKING:
    from cnncalc.geometry import Reach
    from cnncalc.graph import Graph, Node
    from cnncalc.layers.base import Layer, Shape

DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "tfloat32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8": 1,
    "int8": 1,
    "uint8": 1,
}
"""Bytes of one number."""
MAX_LISTED_UNITS = 2**22
"""Intervals of receptive fields that one analysis may list; beyond it fields are unknown."""

CONVENTIONS = (
    "parameters: learnable numbers; frozen ones and buffers (running statistics) apart",
    "multiply-adds: of convolutions and linear layers, biases not counted",
    "flops: 2 per multiply-add, 1 per output for bias, activation and further join operand, "
    "2 for normalisation, the window for pooling",
    "receptive field: input pixels, not clipped to the image",
)


class ReceptiveField(NamedTuple):
    """Of one output, for each spatial axis of the network's input, in pixels."""

    size: tuple[int | None, ...]
    """Pixels that the unit with the widest view sees; None: not followed."""
    jump: tuple[int | None, ...]
    """Distance between neighbouring units' views; None: uneven, or all see the same."""
    start: tuple[int | None, ...]
    """First pixel that unit 0 sees; negative in the padding."""


@dataclass(frozen=True, slots=True)
class Formulas:
    """Worked formulas; each evaluates to the figure of its name."""

    output_shape: tuple[Expr, ...]
    parameters: Expr
    multiply_adds: Expr
    flops: Expr | None
    frozen_parameters: Expr = ZERO
    receptive_field: tuple[Expr, ...] | None = None
    """One for each spatial axis, where a window slides over an even field; else None."""


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One row: a layer, or a scope folded into one. Shapes are of one sample, sizes in bytes."""

    name: str
    kind: str
    layer: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    weights: dict[str, Shape]
    parameters: int
    frozen_parameters: int
    buffers: int
    multiply_adds: int
    flops: int | None
    """None: a kind without a rule."""
    receptive_field: ReceptiveField
    weight_bytes: int
    activation_bytes: int
    formulas: Formulas
    shares: str | None = None
    """The node whose weights this one uses; they are counted there."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of the rows; the receptive field is the output's."""

    parameters: int
    frozen_parameters: int
    buffers: int
    multiply_adds: int
    flops: int
    weight_bytes: int
    activation_bytes: int
    receptive_field: ReceptiveField
    uncounted: tuple[str, ...] = ()
    """Kinds whose flops have no rule: they are in no sum."""


@dataclass(frozen=True)
class Summary:
    """The table of a network: a row for each layer, in execution order, and their totals."""

    name: str
    source: str
    input_shape: Shape
    output_shape: Shape
    layers: tuple[LayerSummary, ...]
    dtype: str = "float32"
    batch_size: int = 1
    scopes: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def totals(self) -> Totals:
        rows = self.layers
        uncounted = dict.fromkeys(row.kind for row in rows if row.flops is None)
        return Totals(
            *(
                sum(getattr(row, name) for row in rows)
                for name in ("parameters", "frozen_parameters", "buffers", "multiply_adds")
            ),
            sum(row.flops or 0 for row in rows),
            sum(row.weight_bytes for row in rows),
            sum(row.activation_bytes for row in rows),
            rows[-1].receptive_field if rows else ReceptiveField((), (), ()),
            tuple(uncounted),
        )

    def __str__(self) -> str:
        from cnncalc.render import render

        return render(self, "table")

    def _repr_html_(self) -> str:
        from cnncalc.render import render

        return render(self, "html")


def analyze_graph(graph: Graph, *, dtype: str = "float32", batch_size: int = 1) -> Summary:
    """The summary of a graph, for `batch_size` samples of numbers of `dtype`.

    Raises:
        UsageError: there is no such dtype, or the batch is empty.
    """
    if dtype not in DTYPE_BYTES:
        raise UsageError(f"unknown dtype {dtype!r}; {did_you_mean(dtype, DTYPE_BYTES)}")
    if batch_size < 1:
        raise UsageError(f"the batch size must be at least 1; received {batch_size}")
    rows = _Analysis(graph, DTYPE_BYTES[dtype], batch_size).rows()
    return Summary(
        graph.name,
        graph.source,
        graph.input_shape,
        graph.shape_of(graph.output),
        rows,
        dtype,
        batch_size,
        graph.scopes,
    )


class _Costs(NamedTuple):
    """What a layer costs at certain input shapes, wherever it stands."""

    text: str
    weights: dict[str, Shape]
    buffers: int
    parameters: Expr
    multiply_adds: Expr
    flops: Expr | None
    output_shape: tuple[Expr, ...]
    reaches: tuple[tuple[Reach, ...], ...]
    """For each input, how the outputs see each of its axes."""


class _Analysis:
    def __init__(self, graph: Graph, number_bytes: int, batch_size: int) -> None:
        self.graph = graph
        self.number_bytes = number_bytes
        self.batch_size = batch_size
        self.fields: dict[int, tuple[Field, ...]] = {INPUT: input_fields(graph.input_shape)}
        self.costs: dict[tuple[int, tuple[Shape, ...]], _Costs] = {}
        self.listed = 0

    def rows(self) -> tuple[LayerSummary, ...]:
        nodes = self.graph.nodes
        last_use = {index: node.index for node in nodes for index in node.inputs}
        rows = []
        for node in nodes:
            rows.append(self.row(node))
            for index in node.inputs:
                if last_use[index] == node.index:
                    self.fields.pop(index, None)
        return tuple(rows)

    def row(self, node: Node) -> LayerSummary:
        key = (id(node.layer), node.input_shapes)
        costs = self.costs.get(key)
        if costs is None:
            costs = self.costs[key] = _costs(node.layer, node.input_shapes, self.batch_size)
        field_formulas = self.see(node, costs)
        owned = ZERO if node.shares is not None else costs.parameters
        learnt, frozen = (ZERO, owned) if node.frozen else (owned, ZERO)
        return LayerSummary(
            name=node.name,
            kind=node.layer.kind,
            layer=costs.text,
            inputs=tuple(map(self.graph.name_of, node.inputs)),
            input_shapes=node.input_shapes,
            output_shape=node.output_shape,
            weights=costs.weights,
            parameters=learnt.value,
            frozen_parameters=frozen.value,
            buffers=0 if node.shares is not None else costs.buffers,
            multiply_adds=costs.multiply_adds.value,
            flops=None if costs.flops is None else costs.flops.value,
            receptive_field=_receptive_field(self.fields[node.index]),
            weight_bytes=owned.value * self.number_bytes,
            activation_bytes=prod(node.output_shape) * self.number_bytes * self.batch_size,
            formulas=Formulas(
                costs.output_shape, learnt, costs.multiply_adds, costs.flops, frozen, field_formulas
            ),
            shares=None if node.shares is None else self.graph.nodes[node.shares].name,
        )

    def see(self, node: Node, costs: _Costs) -> tuple[Expr, ...] | None:
        """Works out the node's fields; returns their formulas where they have one."""
        operands = [
            tuple(
                self.follow(field, reaches, shape, node.output_shape)
                for field in self.fields[source]
            )
            for source, reaches, shape in zip(
                node.inputs, costs.reaches, node.input_shapes, strict=True
            )
        ]
        if len(operands) == 1:
            self.fields[node.index] = operands[0]
        else:
            self.fields[node.index] = tuple(
                self.listing(joined(fields)) for fields in zip(*operands, strict=True)
            )
            return None
        formulas = [
            even_formula(field, costs.reaches[0][field.axis])
            for field in self.fields[node.inputs[0]]
            if field.axis is not None
        ]
        known = [formula for formula in formulas if formula is not None]
        return tuple(known) if known and len(known) == len(operands[0]) else None

    def follow(
        self, field: Field, reaches: tuple[Reach, ...], shape: Shape, output_shape: Shape
    ) -> Field:
        if field.axis is None:
            return field
        reach = reaches[field.axis]
        sizes = (shape[field.axis], output_shape[min(field.axis, len(output_shape) - 1)])
        seen = through(field, reach, sizes)
        return field if seen is field else self.listing(seen)

    def listing(self, field: Field) -> Field:
        """`field`, unless too many units have been listed by now."""
        if isinstance(field, Uneven):
            self.listed += field.count
            if self.listed > MAX_LISTED_UNITS:
                return UNKNOWN
        return field


def _costs(layer: Layer, shapes: tuple[Shape, ...], batch_size: int) -> _Costs:
    flops, multiply_adds = layer.flops(*shapes), layer.multiply_adds(*shapes)
    if batch_size > 1:
        multiply_adds = batch_size * multiply_adds if multiply_adds.value else multiply_adds
        flops = batch_size * flops if flops else flops
    buffers = layer.buffers(*shapes)
    return _Costs(
        text=record(layer, shapes),
        weights={
            name: tuple(int(size) for size in shape)
            for name, shape in layer.weights(*shapes).items()
        },
        buffers=sum(prod(shape) for shape in buffers.values()),
        parameters=layer.parameters(*shapes),
        multiply_adds=multiply_adds,
        flops=flops,
        output_shape=tuple(expr(size) for size in layer.output_shape(*shapes)),
        reaches=tuple(tuple(layer.reach(shape)) for shape in shapes)
        if isinstance(layer, Merge)
        else (tuple(layer.reach(*shapes)),),
    )


def _receptive_field(fields: tuple[Field, ...]) -> ReceptiveField:
    return ReceptiveField(
        tuple(field.size for field in fields),
        tuple(field.jump for field in fields),
        tuple(field.start for field in fields),
    )
