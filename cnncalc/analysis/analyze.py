"""Network -> Summary: what every layer costs and sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.figures import FIGURES, Counted
from cnncalc.analysis.summary import Formulas, LayerSummary, ReceptiveField, Summary
from cnncalc.errors import UsageError, did_you_mean
from cnncalc.layers.recorder import record
from cnncalc.maths.formula import ZERO, Expr, expr
from cnncalc.maths.receptive_fields import UNKNOWN, Uneven, input_fields, joined, through
from cnncalc.maths.windows import SAME
from cnncalc.network.expansion import build_graph
from cnncalc.network.names import INPUT
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.loading import load

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cnncalc.layers.base import Shape
    from cnncalc.maths.receptive_fields import Field
    from cnncalc.maths.windows import Reach
    from cnncalc.network.graph import Graph, Node

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
MAX_BATCH = 2**31
MAX_LISTED_UNITS = 2**22
"""Intervals of receptive fields that one analysis may list; beyond it fields are unknown."""


def analyze(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any],
    *,
    dtype: str = "float32",
    batch_size: int = 1,
) -> Summary:
    """The table of a network, or of what `load` makes one of. Does not load PyTorch.

    Raises:
        UsageError: there is no such network or dtype.
        SpecError: the spec is wrong.
    """
    if not isinstance(network, Architecture):
        network = load(network)
    return analyze_graph(build_graph(network), dtype=dtype, batch_size=batch_size)


def analyze_graph(graph: Graph, *, dtype: str = "float32", batch_size: int = 1) -> Summary:
    """The summary of a graph, for `batch_size` samples of numbers of `dtype`.

    Raises:
        UsageError: there is no such dtype, or the batch is empty.
    """
    if dtype not in DTYPE_BYTES:
        raise UsageError(f"unknown dtype {dtype!r}; {did_you_mean(dtype, DTYPE_BYTES)}")
    if not 1 <= batch_size < MAX_BATCH:
        raise UsageError(
            f"the batch size must be from 1 to {MAX_BATCH - 1:,}; received {batch_size}"
        )
    rows = _Analysis(graph, DTYPE_BYTES[dtype], batch_size).rows()
    return Summary(
        name=graph.name,
        source=graph.source,
        input_shape=graph.input_shape,
        output_shape=graph.shape_of(graph.output),
        receptive_field=rows[graph.output].receptive_field,
        layers=rows,
        dtype=dtype,
        batch_size=batch_size,
        scopes=graph.scopes,
    )


def fields_of(graph: Graph, *, clipped: bool = False) -> dict[int, tuple[Field, ...]]:
    """What each node's units see, along each spatial axis of the input; that of `INPUT` too.

    `clipped` leaves out what lies beyond the image: padding then adds nothing.
    """
    analysis = _Analysis(graph, DTYPE_BYTES["float32"], 1)
    if clipped:
        sizes = enumerate(graph.input_shape[1:], start=1)
        listed = tuple(Uneven(axis, range(size), range(size)) for axis, size in sizes)
        analysis.seen[INPUT] = _seen(tuple(map(analysis.listing, listed)))
    for node in graph.nodes:
        analysis.row(node)
    return {number: seen.fields for number, seen in analysis.seen.items()}


class _Costs(NamedTuple):
    """What a layer costs at certain input shapes, wherever it stands."""

    text: str
    weights: dict[str, Shape]
    figures: dict[str, int | None]
    formulas: dict[str, Expr | None]
    output_shape: tuple[Expr, ...]
    reaches: tuple[tuple[Reach, ...], ...]
    """For each input, how the outputs see each of its axes."""
    moves: bool
    """Whether any output unit sees anything but the input unit at its own place."""


class _Seen(NamedTuple):
    """What the units of one node see: a field for each spatial axis of the network's input."""

    fields: tuple[Field, ...]
    summary: ReceptiveField


class _Analysis:
    def __init__(self, graph: Graph, number_bytes: int, batch_size: int) -> None:
        self.graph = graph
        self.number_bytes = number_bytes
        self.batch_size = batch_size
        self.seen: dict[int, _Seen] = {INPUT: _seen(input_fields(graph.input_shape))}
        self.costs: dict[tuple[int, bool, bool], _Costs] = {}
        self.listed = 0

    def rows(self) -> tuple[LayerSummary, ...]:
        nodes = self.graph.nodes
        last_use = {index: node.number for node in nodes for index in node.inputs}
        rows = []
        for node in nodes:
            rows.append(self.row(node))
            for index in node.inputs:
                if last_use[index] == node.number:
                    self.seen.pop(index, None)
        return tuple(rows)

    def row(self, node: Node) -> LayerSummary:
        key = (node.first, node.shares is None, node.frozen)
        costs = self.costs.get(key)
        if costs is None:
            costs = self.costs[key] = self.cost(node)
        seen, steps = self.see(node, costs)
        self.seen[node.number] = seen
        name_of = self.graph.name_of
        return LayerSummary(
            node.name,
            node.layer.kind,
            costs.text,
            tuple([name_of(source) for source in node.inputs]),
            node.input_shapes,
            node.output_shape,
            costs.weights,
            costs.figures,
            seen.summary,
            Formulas(costs.output_shape, costs.formulas, steps),
            None if node.shares is None else name_of(node.shares),
        )

    def cost(self, node: Node) -> _Costs:
        layer, shapes = node.layer, node.input_shapes
        counted = Counted(
            layer,
            shapes,
            node.output_shape,
            layer.parameters(*shapes) if node.shares is None else ZERO,
            node.frozen,
            self.number_bytes,
            self.batch_size,
        )
        figures: dict[str, int | None] = {}
        formulas: dict[str, Expr | None] = {}
        for name, figure in FIGURES.items():
            unknown = figure.needs_layer and layer.stands_for is not None
            value = None if unknown else figure.of(counted)
            if isinstance(value, Expr):
                formulas[name] = value
                value = value.value
            figures[name] = value
        reaches = tuple(tuple(layer.reach(shape)) for shape in shapes)
        return _Costs(
            text=layer.stands_for or record(layer, shapes),
            weights={
                name: tuple(int(size) for size in shape)
                for name, shape in layer.weights(*shapes).items()
            },
            figures=figures,
            formulas=formulas,
            output_shape=tuple(expr(size) for size in layer.output_shape(*shapes)),
            reaches=reaches,
            moves=any(reach is not SAME for operand in reaches for reach in operand),
        )

    def see(self, node: Node, costs: _Costs) -> tuple[_Seen, tuple[tuple[Field, Reach], ...]]:
        """What the node's units see, and the steps that led there from its one input."""
        if node.layer.stands_for is not None:
            return _seen((UNKNOWN,) * len(self.seen[node.inputs[0]].fields)), ()
        if len(node.inputs) == 1:
            before = self.seen[node.inputs[0]]
            if not costs.moves:
                return before, ()
            reaches = costs.reaches[0]
            fields = self.follow(before.fields, reaches, node.input_shapes[0], node.output_shape)
            steps = [
                (field, reaches[field.axis]) for field in before.fields if field.axis is not None
            ]
            return _seen(fields), tuple(steps) if len(steps) == len(fields) else ()
        operands = []
        for source, reaches, shape in zip(
            node.inputs, costs.reaches, node.input_shapes, strict=True
        ):
            fields = self.seen[source].fields
            if costs.moves:
                fields = self.follow(fields, reaches, shape, node.output_shape)
            operands.append(fields)
        joint = tuple(joined(fields, self.listing) for fields in zip(*operands, strict=True))
        return _seen(joint), ()

    def follow(
        self, fields: tuple[Field, ...], reaches: tuple[Reach, ...], shape: Shape, after: Shape
    ) -> tuple[Field, ...]:
        """The fields behind a layer that turns `shape` into `after`."""
        seen = []
        for field in fields:
            axis = field.axis
            if axis is None or reaches[axis] is SAME:
                seen.append(field)
                continue
            sizes = (shape[axis], after[axis] if axis < len(after) else 1)
            seen.append(self.listing(through(field, reaches[axis], sizes)))
        return tuple(seen)

    def listing(self, field: Field) -> Field:
        """`field`, unless too many units have been listed by now."""
        if isinstance(field, Uneven):
            self.listed += field.count
            if self.listed > MAX_LISTED_UNITS:
                return UNKNOWN
        return field


def _seen(fields: tuple[Field, ...]) -> _Seen:
    summary = ReceptiveField(
        tuple([field.size for field in fields]),
        tuple([field.jump for field in fields]),
        tuple([field.start for field in fields]),
    )
    return _Seen(fields, summary)
