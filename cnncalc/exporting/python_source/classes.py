"""The classes of the written source: one for each block of the file, and one for the network."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from cnncalc.exporting.python_source.bodies import Bodies, Body
from cnncalc.exporting.python_source.definitions import definitions, names_in
from cnncalc.exporting.python_source.forward import TAKEN, Forward, kept, statements
from cnncalc.exporting.python_source.terms import Call, Expression, Literal, Loop
from cnncalc.exporting.python_source.tree import Scope, scope_tree
from cnncalc.exporting.python_source.unifying import CannotUnifyError, Unifier
from cnncalc.spec.expressions import is_expression
from cnncalc.spec.words import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Block

IN_CHANNELS = "in_channels"
NO_DEFAULT = object()


@dataclass
class ModuleClass:
    """A class of the source: its constructor's parameters, its modules and its forward pass."""

    name: str
    about: str
    parameters: dict[str, tuple[str, Any]]
    """Annotation and default, or `NO_DEFAULT`, of each."""
    modules: tuple[tuple[str, Expression], ...]
    forward: Forward
    afterwards: list[str] = field(default_factory=list)
    """Statements at the end of the constructor."""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"class {self.name}(nn.Module):"
        yield f'    """{self.about}"""'
        yield f"    def __init__({', '.join(('self', *self._signature()))}) -> None:"
        yield "        super().__init__()"
        loops = {name: module for name, module in self.modules if isinstance(module, Loop)}
        yield from (f"        self.{name} = {name}" for name in kept(loops.values()))
        for name, module in self.modules:
            if isinstance(module, Loop):
                yield from (f"        {line}" for line in _add_modules(module))
            else:
                yield f"        self.{name} = {module}"
        yield from (f"        {line}" for line in self.afterwards)
        arguments = ", ".join(f"{name}: Tensor" for name in self.forward.arguments)
        results = ["Tensor"] * len(self.forward.returns)
        returned = results[0] if len(results) == 1 else f"tuple[{', '.join(results)}]"
        yield f"    def forward(self, {arguments}) -> {returned}:"
        yield from (f"        {line}" for line in statements(self.forward, loops))

    def _signature(self) -> Iterator[str]:
        for name, (annotation, default) in self.parameters.items():
            given = "" if default is NO_DEFAULT else f" = {default!r}"
            yield f"{name}: {annotation}{given}"


def _add_modules(loop: Loop) -> list[str]:
    if loop.count == 0:
        return []
    if loop.count == 1:
        return [f"self.{loop.prefix}{loop.start} = {loop.body}"]
    return [f"for i in {loop.turns}:", f"    self.add_module({loop.name}, {loop.body})"]


class Row:
    """One way in which a class is made: its body, and the values that its parameters may take."""

    def __init__(self, body: Body, values: Mapping[str, Any]) -> None:
        self.body = body
        self.values = values
        self.scopes: list[Scope] = []

    @property
    def skeleton(self) -> tuple[Any, ...]:
        """What must be equal for two bodies to be of one class."""
        return tuple(name for name, _ in self.body.modules), self.body.forward


class Classes:
    """Makes the classes of a graph, inner ones first; the last is the network's own."""

    def __init__(self, graph: Graph, blocks: Mapping[str, Block]) -> None:
        self.graph = graph
        self.blocks = blocks
        self.made: list[ModuleClass] = []
        self.calls: dict[str, Call] = {}
        """What makes each scope that has a class, by its path."""
        self.names = {*definitions(), *TAKEN, "None", "True", "False"}
        self.name = self._name(graph.name)
        self.root = scope_tree(graph)
        instances: dict[Any, list[Scope]] = {}
        within: dict[Any, dict[Any, None]] = {}
        _collect(self.root, None, instances, within)
        for key in TopologicalSorter(within).static_order():
            if key is not None:
                self._make(instances[key])

    def _make(self, scopes: Sequence[Scope]) -> None:
        """The class, or classes, of all scopes that come from one place of the file."""
        bodies = Bodies(scopes, self.calls)
        rows: dict[str, Row] = {}
        for scope in scopes:
            body = bodies.body(scope)
            row = Row(body, self._values(scope, body))
            known = rows.setdefault(f"{row.body} {row.values}", row)
            known.scopes.append(scope)
        waiting: dict[Any, list[Row]] = {}
        for row in rows.values():
            waiting.setdefault(row.skeleton, []).append(row)
        for alike in waiting.values():
            for group in _groups(alike):
                self._define(group)

    def _values(self, scope: Scope, body: Body) -> dict[str, Any]:
        """What the parameters of the class may be for this instance."""
        if scope is self.root:
            return {}
        values: dict[str, Any] = {}
        if scope.parameters is not None:
            declared = self.blocks[scope.kind].parameters
            taken = RESERVED | self.names | {name for name, _ in body.modules}
            free = [name for name in declared if name not in taken and name[0] != "_"]
            values = {name: _as_tuples(scope.parameters[name]) for name in free}
        return values | {IN_CHANNELS: self.graph.shape_of(scope.inputs[0])[0]}

    def _define(self, rows: Sequence[Row]) -> None:
        modules, unifier = _unify(rows)
        first = rows[0].scopes[0]
        count = sum(len(row.scopes) for row in rows)
        about = f"The file's block {first.kind}" if first.parameters is not None else first.path
        times = f", called {count} times." if count > 1 else "."
        words = first.kind if first.parameters is not None else first.path
        name = self.name if first is self.root else self._name(words)
        made = ModuleClass(name, f"{about}{times}", {}, modules, rows[0].body.forward)
        made.parameters = self._parameters(made, rows, unifier)
        self.made.append(made)
        for number, row in enumerate(rows):
            call = _call(made, {**row.values, **{k: v[number] for k, v in unifier.own.items()}})
            self.calls |= dict.fromkeys((scope.path for scope in row.scopes), call)

    def _parameters(
        self, made: ModuleClass, rows: Sequence[Row], unifier: Unifier
    ) -> dict[str, tuple[str, Any]]:
        """Annotation and default of each parameter that the class uses, those without one first."""
        used = names_in(ast.parse(str(made)))
        columns = {
            name: [row.values[name] for row in rows] for name in rows[0].values
        } | unifier.own
        kind = rows[0].scopes[0].kind
        block = self.blocks.get(kind) if rows[0].scopes[0].parameters is not None else None
        found = {}
        for name, column in columns.items():
            if name in used:
                declared = block.parameters.get(name, NO_DEFAULT) if block else NO_DEFAULT
                found[name] = (_annotation(column), _default(column, declared))
        required = [name for name in found if found[name][1] is NO_DEFAULT]
        order = [*sorted(required, key=lambda name: name != IN_CHANNELS), *found]
        return {name: found[name] for name in order}

    def _name(self, words: str) -> str:
        """A name for a class that nothing else bears."""
        name = free = camel(words)
        number = 2
        while free in self.names:
            free, number = f"{name}{number}", number + 1
        self.names.add(free)
        return free


def _collect(
    scope: Scope, above: Any, instances: dict[Any, list[Scope]], within: dict[Any, dict[Any, None]]
) -> None:
    """Gathers the scopes that need a class, by the place in the file that they come from."""
    if scope.needs_class:
        key: Any = scope.kind if scope.parameters is not None else (scope.item, scope.name)
        instances.setdefault(key, []).append(scope)
        within.setdefault(key, {})
        within.setdefault(above, {})[key] = None
        above = key
    for member in scope.members:
        if isinstance(member, Scope):
            _collect(member, above, instances, within)


def _unify(rows: Sequence[Row]) -> tuple[tuple[tuple[str, Expression], ...], Unifier]:
    unifier = Unifier([row.values for row in rows])
    columns = zip(*(row.body.modules for row in rows), strict=True)
    modules = [
        (column[0][0], unifier.unify([module for _, module in column], column[0][0].split("#")[0]))
        for column in columns
    ]
    return tuple(modules), unifier


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in as few groups as can be unified."""
    groups: list[list[Row]] = []
    waiting = [[*rows]]
    while waiting:
        group = waiting.pop()
        try:
            _unify(group)
            groups.append(group)
        except CannotUnifyError:
            fitting = [group[0]]
            others = []
            for row in group[1:]:
                try:
                    _unify([*fitting, row])
                    fitting.append(row)
                except CannotUnifyError:
                    others.append(row)
            groups.append(fitting)
            waiting.append(others)
    return groups


def _call(made: ModuleClass, values: Mapping[str, Any]) -> Call:
    """What makes an instance. Channels and the first parameter of a block need no name."""
    arguments: list[tuple[str | None, Expression]] = []
    defaults = {}
    for place, (name, (_, default)) in enumerate(made.parameters.items()):
        value = Literal(values[name])
        if default is NO_DEFAULT:
            arguments.append((None if place < 2 else name, value))
            continue
        defaults[name] = default
        if value != Literal(default):
            arguments.append((name, value))
    return Call(made.name, tuple(arguments), defaults)


def _default(column: Sequence[Any], declared: Any) -> Any:
    """The default that the file gives, if it is a plain value; of a condition, False."""
    if declared is NO_DEFAULT:
        return None if None in column else NO_DEFAULT
    if is_expression(declared) and all(isinstance(value, bool) for value in column):
        return False
    plain = isinstance(declared, bool | int | float | str) and not is_expression(declared)
    return declared if plain else NO_DEFAULT


def _annotation(column: Sequence[Any]) -> str:
    names = {_type_name(value): None for value in column}
    return " | ".join(sorted(names, key=lambda name: name == "None"))


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    if not isinstance(value, tuple):
        return type(value).__name__
    parts = {_type_name(part) for part in value}
    return f"tuple[{parts.pop()}, ...]" if len(parts) == 1 else "tuple"


def _as_tuples(value: Any) -> Any:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(map(_as_tuples, value)) if is_list else value


def camel(words: str) -> str:
    """`conv_bn` -> `ConvBn`, `LeNet-5` -> `LeNet5`: a name for a class."""
    parts = "".join(char if char.isascii() and char.isalnum() else " " for char in words).split()
    name = "".join(part[0].upper() + part[1:] for part in parts)
    return name if name.isidentifier() else f"Network{name}"
