"""Graph -> a tree of scopes: what each takes from outside, gives to outside, and holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnncalc.layers.merge import Merge
from cnncalc.network.names import INPUT
from cnncalc.spec.items import RESIDUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnncalc.network.graph import Graph, Node
    from cnncalc.spec.items import Item

BRANCH = "branch"


@dataclass
class Unit:
    """A layer or scope within its scope. Nodes are told by their numbers in the graph."""

    name: str
    item: Item | None
    first: int
    last: int
    inputs: tuple[int, ...] = ()
    """Nodes outside whose outputs it takes, in order of their first use."""
    outputs: tuple[int, ...] = ()
    """Nodes inside whose outputs are used outside."""


@dataclass
class Leaf(Unit):
    """One layer, or a join of named nodes, which is no module."""

    node: Any = None

    @property
    def is_join(self) -> bool:
        return isinstance(self.node.layer, Merge)


@dataclass
class Scope(Unit):
    """A block call, group, join or branch; or the network itself, whose path is empty."""

    kind: str = ""
    path: str = ""
    parameters: Mapping[str, Any] | None = None
    members: list[Unit] = field(default_factory=list)
    join: Node | None = None

    @property
    def is_branch(self) -> bool:
        return self.kind == BRANCH and self.parameters is None

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names of a join's branches, in order; those that hold nothing are no members."""
        assert self.join is not None
        if self.kind == RESIDUAL:
            return ("body", "shortcut")
        return tuple(f"branch{number}" for number in range(1, len(self.join.inputs) + 1))

    @property
    def needs_class(self) -> bool:
        """Whether it is a class of the source; else it is written where it is made."""
        if not self.path or self.parameters is not None:
            return True
        return not (self.is_chain() or self.is_plain_join())

    def is_chain(self) -> bool:
        """Whether its modules run one after another and nothing else flows."""
        if self.join is not None or len(self.inputs) != 1:
            return False
        flow = self.inputs
        for member in self.members:
            if member.inputs != flow or len(member.outputs) != 1 or is_inline(member):
                return False
            flow = member.outputs
        return self.outputs == flow

    def is_plain_join(self) -> bool:
        """Whether it joins branches that each take its input and give one output."""
        if self.join is None or len(self.inputs) != 1 or self.outputs != (self.join.number,):
            return False
        branches = {member.name: member for member in self.members}
        for name, operand in zip(self.branch_names, self.join.inputs, strict=True):
            branch = branches.get(name)
            inputs = branch.inputs if branch else self.inputs
            if inputs != self.inputs or (branch.outputs if branch else inputs) != (operand,):
                return False
        return True


def is_inline(unit: Unit) -> bool:
    """Whether it is a join of named nodes: an expression, no module."""
    return isinstance(unit, Leaf) and unit.is_join


def scope_tree(graph: Graph) -> Scope:
    """The network as the scope of all."""
    root = Scope("", None, 0, len(graph.nodes) - 1)
    scopes = {"": root}
    for node in graph.nodes:
        above, _, name = node.name.rpartition(".")
        if node.name in scopes:
            scopes[node.name].join = node
            _reach(scopes, node.name, node.number)
            continue
        parent = _open(graph, scopes, above, node.number)
        parent.members.append(Leaf(name, node.item, node.number, node.number, node=node))
    last_use = {index: node.number for node in graph.nodes for index in node.inputs}
    last_use[graph.output] = len(graph.nodes)
    for unit in walk(root):
        _connect(graph, unit, last_use)
    return root


def _open(graph: Graph, scopes: dict[str, Scope], path: str, number: int) -> Scope:
    """The scope of a path, whose first node is `number` if it is new."""
    known = scopes.get(path)
    if known is not None:
        _reach(scopes, path, number)
        return known
    above, _, name = path.rpartition(".")
    parent = _open(graph, scopes, above, number)
    output = graph.scopes[path]
    scope = Scope(
        name, output.item, number, number, kind=output.kind, path=path, parameters=output.parameters
    )
    scopes[path] = scope
    parent.members.append(scope)
    return scope


def _reach(scopes: dict[str, Scope], path: str, number: int) -> None:
    """Node `number` belongs to the scope of this path, and to those above it."""
    while path:
        scopes[path].last = number
        path = path.rpartition(".")[0]


def _connect(graph: Graph, unit: Unit, last_use: Mapping[int, int]) -> None:
    numbers = range(unit.first, unit.last + 1)
    taken = dict.fromkeys(
        index for number in numbers for index in graph.nodes[number].inputs if index < unit.first
    )
    unit.inputs = tuple(taken) or (INPUT,)
    unit.outputs = tuple(number for number in numbers if last_use[number] > unit.last)


def walk(scope: Scope) -> Iterator[Unit]:
    """The scope and all that is in it, inner units first."""
    for member in scope.members:
        if isinstance(member, Scope):
            yield from walk(member)
        else:
            yield member
    yield scope
