"""Expands the items of an architecture into the nodes of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.errors import (
    ExpressionError,
    FieldError,
    LimitError,
    ReferenceSpecError,
    ShapeError,
    SpecError,
    shorten,
)
from cnncalc.layers import find, registry
from cnncalc.network.context import Budget, Context, Parameters
from cnncalc.network.graph import Graph, ScopeOutput
from cnncalc.network.instances import Instances
from cnncalc.network.names import INPUT, Scope
from cnncalc.spec.architecture import EXAMPLES
from cnncalc.spec.expressions import is_expression
from cnncalc.spec.items import (
    GROUP,
    JOIN_OF_RESIDUAL,
    RESIDUAL,
    Item,
    Items,
    branches_of,
    unknown_kind,
)
from cnncalc.spec.limits import MAX_NODES
from cnncalc.spec.text import place_of
from cnncalc.spec.words import check_name

if TYPE_CHECKING:
    from cnncalc.layers.base import Layer
    from cnncalc.spec.architecture import Architecture, Block

MAX_STEPS = 2 * MAX_NODES
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
            architecture.title,
            architecture.source,
            architecture.input_shape(self.parameters),
            architecture.initialization(self.parameters),
            architecture.origin(),
        )
        self.steps = 0
        self.bodies: dict[Item | str, Items] = {}
        """The items of each group, and of each block by its name."""
        self.branches: dict[tuple[Item, str], list[tuple[str, Items]]] = {}
        """Those of each join of a kind."""
        self.instances = Instances(self.blocks, self.parameters)

    def run(self) -> Graph:
        items = self.architecture.layers
        context = Context(Scope("", "", None), Parameters(self.parameters), Budget())
        self.graph.output = self.expand(Items(items, self.architecture), INPUT, context)
        if not self.graph.nodes:
            raise FieldError(
                "the network has no layers",
                place=place_of(items),
                path="layers",
                hint="every if is false, or every repeat 0" if items else EXAMPLES["layers"],
            )
        self.graph.check_outputs()
        return self.graph

    def expand(self, items: Items, flow: int, context: Context) -> int:
        """Runs a list of items, beginning with the output of node `flow`; returns the last's."""
        for index, item in enumerate(items.parsed):
            try:
                flow = self.expand_item(item or items.parse(index), flow, context)
            except SpecError as error:
                raise error.at(place_of(items.raw, index)).within(context.scope.path) from None
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
        sees_flow = not item.names_of_if().isdisjoint(("in_channels", "in_size"))
        if not sees_flow and not self.holds(item, flow, context):
            return flow
        sources = self.sources(item, flow, context)
        return (
            self.expand_once(item, sources, context)
            if self.holds(item, sources[0], context)
            else flow
        )

    def expand_repeated(self, item: Item, flow: int, context: Context) -> int:
        by_turn = "index" in item.names_of_if()
        if not by_turn and not self.holds(item, flow, context._replace(turn=0)):
            return flow
        for turn in range(context.repeats(item, self.graph.shape_of(flow))):
            inner = context._replace(turn=turn)
            sources = self.sources(item, flow, inner)
            if self.holds(item, sources[0], inner):
                flow = self.expand_once(item, sources, inner)
            else:
                self.count(item)
        return flow

    def expand_once(self, item: Item, sources: tuple[int, ...], context: Context) -> int:
        self.count(item)
        kind = item.kind
        if is_expression(kind):
            try:
                kind = context.value(kind, self.graph.shape_of(sources[0]))
            except ExpressionError as error:
                raise error.at(item.place) from None
            if not isinstance(kind, str):
                raise unknown_kind(kind, item.place, self.architecture).at(None, item.kind)
        block = self.blocks.get(kind)
        cls = None if block or kind in (GROUP, RESIDUAL) else find(kind)
        is_join = kind == RESIDUAL or (cls is not None and cls.joins)
        cls = None if is_join else cls
        if not (block or is_join or kind == GROUP or cls):
            unknown = unknown_kind(kind, item.place, self.architecture)
            raise unknown.at(None, item.kind if is_expression(item.kind) else "")
        if cls is None and "shares" in item.options:
            raise FieldError(
                f"{kind} cannot share weights",
                place=item.option_place("shares"),
                path="shares",
                hint="write shares beside a single layer",
            )
        name = self.name(item, kind, context)
        if is_join:
            return self.expand_join(item, kind, name, sources, context)
        if len(sources) != 1 and not (cls and cls.several):
            raise FieldError(
                f"{kind} takes one input; received {len(sources)}",
                place=item.option_place("inputs"),
                path="inputs",
                hint=f"{_joins()} take several",
            )
        if cls is None:
            return self.expand_scope(item, kind, block, name, sources[0], context)
        return self.add_layer(item, cls, name, sources, context)

    def add_layer(
        self, item: Item, cls: type[Layer], name: str, sources: tuple[int, ...], context: Context
    ) -> int:
        shape = self.graph.shape_of(sources[0])
        index = self.graph.append(
            context.scope.path_of(name),
            self.instances.layer(item, cls, shape, context),
            sources,
            item,
            frozen=context.frozen,
            shares=self.shared(item, context) if "shares" in item.options else None,
        )
        context.scope.members[name] = index
        return index

    def expand_join(
        self, item: Item, kind: str, name: str, sources: tuple[int, ...], context: Context
    ) -> int:
        scope = context.scope.open(kind, name)
        branches = self.branches.get((item, kind))
        if branches is None:
            branches = [
                (each, Items(raw, self.architecture)) for each, raw in branches_of(item, kind)
            ]
            self.branches[item, kind] = branches
        if (len(sources) != 1) if branches else (len(sources) < 2):
            raise FieldError(
                "takes one input" if branches else "needs at least two inputs",
                place=item.option_place("inputs"),
                path=kind,
            )
        outputs = []
        for branch_name, items in branches:
            self.count(item)
            branch = scope.open("branch", branch_name)
            outputs.append(self.expand(items, sources[0], context._replace(scope=branch)))
            self.graph.scopes[branch.path] = ScopeOutput("branch", branch.output, item)
        layer = self.instances.join(JOIN_OF_RESIDUAL if kind == RESIDUAL else kind)
        try:
            scope.output = self.graph.append(scope.path, layer, tuple(outputs) or sources, item)
        except ShapeError as error:
            if kind == RESIDUAL:
                error.hint = "its shortcut must bring the body's channels and sizes"
            raise
        self.graph.scopes[scope.path] = ScopeOutput(kind, scope.output, item)
        return scope.output

    def expand_scope(
        self, item: Item, kind: str, block: Block | None, name: str, source: int, context: Context
    ) -> int:
        """A group, or a block call."""
        if block is None:
            owner: Item | str = item
            raw = item.value
            if not isinstance(raw, list):
                raise FieldError(
                    f"must be a list of items; received {shorten(raw)}",
                    place=place_of(item.raw, item.key),
                    path="layers",
                    hint="write one item a line, each beginning with - and a space",
                )
        else:
            owner, raw = kind, block.layers
            if kind in context.blocks:
                chain = " → ".join((*context.blocks, kind))
                raise ReferenceSpecError(
                    f"the block calls itself: {chain}",
                    place=item.place,
                    path=kind,
                    hint="repeat calls a block several times",
                )
            shape = self.graph.shape_of(source)
            parameters = self.instances.parameters(item, kind, block, shape, context)
            context = context._replace(parameters=parameters, blocks=(*context.blocks, kind))
        items = self.bodies.get(owner)
        if items is None:
            items = self.bodies[owner] = Items(raw, self.architecture)
        scope = context.scope.open(kind, name)
        output = self.expand(items, source, context._replace(scope=scope))
        seen = context.parameters if block else None
        self.graph.scopes[scope.path] = ScopeOutput(kind, output, item, seen)
        return output

    def name(self, item: Item, kind: str, context: Context) -> str:
        def make() -> str:
            name = check_name(item.options["name"]) if "name" in item.options else None
            return context.scope.name_for(kind, name, repeated="repeat" in item.options)

        return item.referring("name", make)

    def sources(self, item: Item, flow: int, context: Context) -> tuple[int, ...]:
        """The nodes that flow into an item: those that its `inputs` name, or the one before."""
        if "inputs" not in item.options:
            return (flow,)
        sources = []
        for index, name in enumerate(context.input_names(item)):
            try:
                sources.append(context.scope.find(name))
            except ReferenceSpecError as error:
                place = place_of(item.options["inputs"], index) or item.option_place("inputs")
                raise error.at(place, "inputs") from None
        return tuple(sources)

    def shared(self, item: Item, context: Context) -> int:
        """The node that owns the weights which `shares` names."""
        name = item.options["shares"]
        place = item.option_place("shares")
        if not isinstance(name, str):
            raise FieldError(
                f"must be a name; received {shorten(name)}", place=place, path="shares"
            )
        if "frozen" in item.options:
            raise FieldError(
                "stands beside shares, whose weights are another node's",
                place=item.option_place("frozen"),
                path="frozen",
                hint=f"freeze {name} itself",
            )
        index = item.referring("shares", lambda: context.scope.find(name))
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


def _joins() -> str:
    """`add, concat and multiply`."""
    *others, last = sorted(kind for kind, cls in registry().items() if cls.joins)
    return f"{', '.join(others)} and {last}"
