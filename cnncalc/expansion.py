"""Expands the items of an architecture into the nodes of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cnncalc.context import Context, Names
from cnncalc.errors import (
    ExpressionError,
    FieldError,
    LimitError,
    ReferenceSpecError,
    SpecError,
    shorten,
)
from cnncalc.expressions import evaluate, is_expression, names_in
from cnncalc.graph import MAX_NODES, Graph
from cnncalc.items import GROUP, JOINS, RESIDUAL, Item, branches_of, parse_item, unknown_kind
from cnncalc.layers import find
from cnncalc.scopes import INPUT, Scope, check_name
from cnncalc.source import place_of
from cnncalc.validation import unknown_key, validated

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.layers.base import Layer
    from cnncalc.spec import Architecture, Block

T = TypeVar("T")

MAX_STEPS = 10 * MAX_NODES
"""Items that may be looked at while expanding: bounds repeats that add no nodes."""


def build_graph(architecture: Architecture) -> Graph:
    """The graph of an architecture.

    Raises:
        SpecError: the spec is wrong; its subclass and message say how.
    """
    return _Expansion(architecture).run()


class _Expansion:
    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.blocks = architecture.checked_blocks()
        self.parameters = architecture.parameter_values()
        self.graph = Graph(
            architecture.title, architecture.source, architecture.input_shape(self.parameters)
        )
        self.steps = 0
        self.items: dict[tuple[int, int], Item] = {}
        self.layers: dict[tuple[str, str], Layer] = {}
        self.static: dict[int, Layer] = {}
        """The layers of items without expressions, by the item's id."""

    def run(self) -> Graph:
        items = self.architecture.layers
        context = Context(Scope("", "", None), self.parameters)
        self.graph.output = self.expand(items, INPUT, context)
        if not self.graph.nodes:
            raise FieldError("the network has no layers", place=place_of(items), path="layers")
        self.graph.check_outputs()
        return self.graph

    def expand(self, items: list[Any], flow: int, context: Context) -> int:
        """Runs a list of items, beginning with the output of node `flow`; returns the last's."""
        for index in range(len(items)):
            try:
                item = self.items.get((id(items), index))
                if item is None:
                    item = parse_item(items, index, self.architecture)
                    self.items[id(items), index] = item
                flow = self.expand_item(item, flow, context)
            except SpecError as error:
                raise error.at(place_of(items, index)).within(context.scope.path) from None
        context.scope.output = flow
        return flow

    def expand_item(self, item: Item, flow: int, context: Context) -> int:
        """Every turn of one item."""
        if not item.options:
            return self.expand_once(item, (flow,), context)
        frozen = context.truth(item, "frozen", self.graph.shape_of(flow), default=False)
        context = context._replace(frozen=frozen or context.frozen)
        if "repeat" in item.options:
            return self.expand_repeated(item, flow, context)
        if "inputs" not in item.options:
            return (
                self.expand_once(item, (flow,), context)
                if self.holds(item, flow, context)
                else flow
            )
        # What an `if` leaves out may name nodes that another `if` left out.
        if not self._sees_flow(item) and not self.holds(item, flow, context):
            return flow
        sources = self.sources(item, flow, context)
        return (
            self.expand_once(item, sources, context)
            if self.holds(item, sources[0], context)
            else flow
        )

    def expand_repeated(self, item: Item, flow: int, context: Context) -> int:
        condition = item.options.get("if", True)
        by_turn = is_expression(condition) and "index" in names_in(condition)
        if not by_turn and not self.holds(item, flow, context._replace(turn=0)):
            return flow
        for turn in range(context.repeats(item, self.graph.shape_of(flow))):
            inner = context._replace(turn=turn)
            self.count(item)
            sources = self.sources(item, flow, inner)
            if self.holds(item, sources[0], inner):
                flow = self.expand_once(item, sources, inner)
        return flow

    def expand_once(self, item: Item, sources: tuple[int, ...], context: Context) -> int:
        self.count(item)
        kind = item.kind
        if is_expression(kind):
            kind = context.value(kind, self.graph.shape_of(sources[0]))
            if not isinstance(kind, str):
                raise unknown_kind(kind, item.place, self.architecture)
        is_join = kind in JOINS or kind == RESIDUAL
        block = self.blocks.get(kind)
        cls = None if block or is_join or kind == GROUP else find(kind)
        if not (block or is_join or kind == GROUP or cls):
            raise unknown_kind(kind, item.place, self.architecture)
        name = self.name(item, kind, context)
        if is_join:
            return self.expand_join(item, kind, name, sources, context)
        if len(sources) != 1:
            raise FieldError(
                f"{kind} takes one input; received {len(sources)}",
                place=item.option_place("inputs"),
                path="inputs",
                hint="add, concat and multiply take several",
            )
        if cls is None:
            return self.expand_scope(item, kind, block, name, sources[0], context)
        return self.add_layer(item, cls, name, sources[0], context)

    def add_layer(
        self, item: Item, cls: type[Layer], name: str, source: int, context: Context
    ) -> int:
        layer = self.static.get(id(item)) or self.layer(item, cls, source, context)
        index = self.graph.append(
            context.scope.path_of(name),
            layer,
            (source,),
            item,
            frozen=context.frozen,
            shares=self.shared(item, context) if "shares" in item.options else None,
        )
        context.scope.members[name] = index
        return index

    def layer(self, item: Item, cls: type[Layer], source: int, context: Context) -> Layer:
        """The item's layer; equal layers of one network are one object."""
        fields = item.fields(cls.main)
        if fields is None:
            raise FieldError(
                f"takes no value; received {shorten(item.value)}",
                place=place_of(item.raw, item.key),
                path=cls.kind,
                hint=f"its fields: {', '.join(cls.model_fields)}" if cls.model_fields else "",
            )
        shape = self.graph.shape_of(source)
        values = {key: context.field(fields, key, shape, cls.kind) for key in fields}
        key = (cls.kind, repr(values))
        layer = self.layers.get(key)
        if layer is None:
            layer = self.layers[key] = validated(cls, values, path=cls.kind, raw=fields)
        if not is_expression(item.kind) and not _has_expression(item.value):
            self.static[id(item)] = layer
        return layer

    def expand_join(
        self, item: Item, kind: str, name: str, sources: tuple[int, ...], context: Context
    ) -> int:
        scope = context.scope.open(kind, name)
        self.graph.scopes[scope.path] = kind
        branches = branches_of(item)
        if (len(sources) != 1) if branches else (len(sources) < 2):
            raise FieldError(
                "takes one input" if branches else "needs at least two inputs",
                place=item.option_place("inputs"),
                path=kind,
            )
        outputs = []
        for branch_name, items in branches:
            branch = scope.open("branch", branch_name)
            self.graph.scopes[branch.path] = "branch"
            outputs.append(self.expand(items, sources[0], context._replace(scope=branch)))
        cls = find("add" if kind == RESIDUAL else kind)
        assert cls is not None
        layer = self.layers.get((cls.kind, "{}")) or self.layers.setdefault((cls.kind, "{}"), cls())
        scope.output = self.graph.append(scope.path, layer, tuple(outputs) or sources, item)
        return scope.output

    def expand_scope(
        self, item: Item, kind: str, block: Block | None, name: str, source: int, context: Context
    ) -> int:
        """A group, or a block call."""
        if block is None:
            items = item.value
            if not isinstance(items, list):
                raise FieldError(
                    f"must be a list of items; received {shorten(items)}",
                    place=place_of(item.raw, item.key),
                    path="layers",
                )
        else:
            items = block.layers
            if kind in context.blocks:
                chain = " → ".join((*context.blocks, kind))
                raise ReferenceSpecError(f"the block calls itself: {chain}", path=kind)
            parameters = self.arguments(item, kind, block, source, context)
            context = context._replace(parameters=parameters, blocks=(*context.blocks, kind))
        scope = context.scope.open(kind, name)
        self.graph.scopes[scope.path] = kind
        return self.expand(items, source, context._replace(scope=scope))

    def arguments(
        self, item: Item, kind: str, block: Block, source: int, context: Context
    ) -> dict[str, Any]:
        """Everything that the items of a block see: the network's parameters and its own."""
        given = item.fields(next(iter(block.parameters), None))
        if given is None:
            raise FieldError("this block has no parameters", place=item.place, path=kind)
        for key in given:
            if key not in block.parameters:
                raise unknown_key(given, key, block.parameters, path=kind, what="parameter")
        shape = self.graph.shape_of(source)
        values = dict(self.parameters)
        for key, default in block.parameters.items():
            if given.get(key) is not None:
                values[key] = context.field(given, key, shape, kind)
            elif default is None:
                raise FieldError(
                    f"needs {key}", place=item.place, path=kind, hint="it has no default"
                )
            elif is_expression(default):
                try:
                    values[key] = evaluate(default, Names(values, shape, context.turn))
                except ExpressionError as error:
                    place = place_of(block.parameters, key)
                    raise error.at(place, f"blocks.{kind}.parameters.{key}") from None
            else:
                values[key] = default
        return values

    def name(self, item: Item, kind: str, context: Context) -> str:
        given = item.options.get("name")

        def make() -> str:
            name = None if given is None else check_name(given)
            return context.scope.name_for(kind, name, repeated="repeat" in item.options)

        return self._referring(item, "name", make)

    def sources(self, item: Item, flow: int, context: Context) -> tuple[int, ...]:
        """The nodes that flow into an item: those that its `inputs` name, or the one before."""
        if "inputs" not in item.options:
            return (flow,)
        return self._referring(
            item, "inputs", lambda: tuple(map(context.scope.find, context.input_names(item)))
        )

    def shared(self, item: Item, context: Context) -> int:
        """The node that owns the weights which `shares` names."""
        name = item.options["shares"]
        place = item.option_place("shares")
        if not isinstance(name, str):
            raise FieldError(
                f"must be a name; received {shorten(name)}", place=place, path="shares"
            )
        index = self._referring(item, "shares", lambda: context.scope.find(name))
        if index == INPUT:
            raise FieldError("the input has no weights", place=place, path="shares")
        owner = self.graph.nodes[index].shares
        return index if owner is None else owner

    def holds(self, item: Item, flow: int, context: Context) -> bool:
        return context.truth(item, "if", self.graph.shape_of(flow), default=True)

    def count(self, item: Item) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise LimitError(
                f"the network repeats over {MAX_STEPS:,} items",
                place=item.place,
                hint=f"a network has at most {MAX_NODES:,} layers",
            )

    @staticmethod
    def _sees_flow(item: Item) -> bool:
        condition = item.options.get("if", True)
        return is_expression(condition) and not names_in(condition).isdisjoint(
            ("in_channels", "in_size")
        )

    @staticmethod
    def _referring(item: Item, option: str, function: Callable[[], T]) -> T:
        """`function()`, with an error about a name placed at the option that gives it."""
        try:
            return function()
        except ReferenceSpecError as error:
            given = option in item.options
            place = item.option_place(option) if given else item.place
            raise error.at(place, option if given else "") from None


def _has_expression(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_expression(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_expression(item) for item in value)
    return is_expression(value)
