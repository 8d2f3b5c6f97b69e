"""The body of a class: what one scope makes and how it runs, with the loops of its repeats."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cnncalc.exporting.python_source.definitions import module_names
from cnncalc.exporting.python_source.forward import Forward, Run, forward_of
from cnncalc.exporting.python_source.terms import Call, Expression, Literal, Loop
from cnncalc.exporting.python_source.tree import Leaf, Scope, Unit, is_inline
from cnncalc.exporting.python_source.unifying import CannotUnifyError, unify_turns
from cnncalc.layers.merge import Merge
from cnncalc.layers.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnncalc.spec.items import Item

IDENTITY = Call("nn.Identity")
NUMBERED = re.compile(r"(.*?)(\d+)")


class Body(NamedTuple):
    """Modules by name, in order, and the forward pass. A loop's modules stand under its key."""

    modules: tuple[tuple[str, Expression], ...]
    forward: Forward


class Repeat(NamedTuple):
    """The turns of one item of the file in one scope, each a module run after the one before."""

    item: Item
    key: str
    """Tells it from the other repeats of its scope."""
    prefix: str
    start: int
    units: Sequence[Unit]


class Bodies:
    """The bodies of the instances of one class."""

    def __init__(self, scopes: Sequence[Scope], calls: Mapping[str, Call]) -> None:
        self.calls = calls
        self.heads: dict[Item, int] = {}
        """Of each item that can be a loop: how many turns stand before it, 0 or 1."""
        repeats: dict[Item, list[Repeat]] = {}
        for scope in scopes:
            for inner in self._inline_scopes(scope):
                for part in repeats_of(inner):
                    if isinstance(part, Repeat):
                        repeats.setdefault(part.item, []).append(part)
        for item, turns in repeats.items():
            head = next((head for head in (0, 1) if self._can_loop(turns, head)), None)
            if head is not None:
                self.heads[item] = head

    def body(self, scope: Scope) -> Body:
        parts, modules = self._parts(scope)
        return Body(tuple(modules), forward_of(scope, parts))

    def _inline_scopes(self, scope: Scope) -> Iterator[Scope]:
        """The scope and those written within its class, inner ones first."""
        for member in scope.members:
            if isinstance(member, Scope) and member.path not in self.calls:
                yield from self._inline_scopes(member)
        yield scope

    def _can_loop(self, repeats: Sequence[Repeat], head: int) -> bool:
        if max(len(repeat.units) for repeat in repeats) - head < 2:
            return False
        try:
            for repeat in repeats:
                if len(repeat.units) > head:
                    self._loop(repeat, head)
        except CannotUnifyError:
            return False
        return True

    def _loop(self, repeat: Repeat, head: int) -> Loop:
        start, stop = (Literal(repeat.start + n) for n in (head, len(repeat.units)))
        turns = [self.expression(unit) for unit in repeat.units[head:]]
        return Loop(repeat.prefix, start, stop, unify_turns(turns, start) if turns else None)

    def _parts(self, scope: Scope) -> tuple[list[Unit | Run], list[tuple[str, Expression]]]:
        """The scope's units and loops, and the modules that they make."""
        parts: list[Unit | Run] = []
        modules: list[tuple[str, Expression]] = []
        for part in repeats_of(scope):
            head = self.heads.get(part.item) if isinstance(part, Repeat) else None
            plain = [part] if isinstance(part, Unit) else part.units[:head]
            parts += plain
            modules += [(unit.name, self.expression(unit)) for unit in plain if not is_inline(unit)]
            if head is not None and isinstance(part, Repeat):
                loop = self._loop(part, head)
                modules.append((part.key, loop))
                if len(part.units) > head:
                    parts.append(Run(part.key, part.prefix, part.units[head:]))
        return parts, modules

    def expression(self, unit: Unit) -> Expression:
        """What makes the module of a unit."""
        if isinstance(unit, Leaf):
            return self._layer(unit)
        assert isinstance(unit, Scope)
        if unit.path in self.calls:
            return self.calls[unit.path]
        if unit.join is not None:
            branches = {member.name: member for member in unit.members}
            made = [
                (name, self.expression(branches[name]) if name in branches else IDENTITY)
                for name in unit.branch_names
            ]
            join = unit.join.layer
            assert isinstance(join, Merge)
            return Call(join.container, tuple(made))
        _, modules = self._parts(unit)
        return Call(
            "Chain",
            tuple((None if isinstance(module, Loop) else name, module) for name, module in modules),
        )

    def _layer(self, leaf: Leaf) -> Call:
        """The layer's own call, its fields' defaults beside it."""

        def make(name: str, args: Sequence[object], options: Mapping[str, object]) -> Call:
            function = name if name in module_names() else f"nn.{name}"
            given = [(None, Literal(arg)) for arg in args]
            named = [(key, Literal(value)) for key, value in options.items()]
            fields = type(leaf.node.layer).model_fields
            defaults = {key: f.default for key, f in fields.items() if not f.is_required()}
            return Call(function, (*given, *named), defaults)

        call: Call = leaf.node.layer.build(Recorder(make), *leaf.node.input_shapes)
        return call


def repeats_of(scope: Scope) -> list[Unit | Repeat]:
    """The scope's members; those that one `repeat` made, one after another, together."""
    uses = Counter(number for member in scope.members for number in member.inputs)
    uses.update(scope.outputs)
    uses.update(scope.join.inputs if scope.join else ())
    runs: list[list[Unit]] = []
    for member in scope.members:
        if runs and _follows(member, runs[-1][-1]) and uses[member.inputs[0]] == 1:
            runs[-1].append(member)
        else:
            runs.append([member])
    return [_repeat(k, run) if _repeats(run[0]) else run[0] for k, run in enumerate(runs)]


def _repeats(unit: Unit) -> bool:
    """Whether it can be the turn of a loop."""
    if is_inline(unit) or (isinstance(unit, Scope) and unit.is_branch):
        return False
    flows = len(unit.inputs) == len(unit.outputs) == 1
    return flows and unit.item is not None and "repeat" in unit.item.options


def _follows(unit: Unit, before: Unit) -> bool:
    """Whether it is the next turn of the same repeat, and takes the output of the one before."""
    if unit.item is not before.item or not _repeats(unit) or not _repeats(before):
        return False
    prefix, number = _numbered(before)
    return unit.inputs == before.outputs and _numbered(unit) == (prefix, number + 1)


def _repeat(place: int, units: list[Unit]) -> Repeat:
    prefix, start = _numbered(units[0])
    item = units[0].item
    assert item is not None
    return Repeat(item, f"{prefix}#{place}", prefix, start, units)


def _numbered(unit: Unit) -> tuple[str, int]:
    match = NUMBERED.fullmatch(unit.name)
    assert match is not None, unit.name
    return match[1], int(match[2])
