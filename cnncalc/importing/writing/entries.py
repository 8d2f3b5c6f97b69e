"""Chains of steps -> the entries of a spec: items, joins and groups, each with a name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import ReferenceSpecError
from cnncalc.spec.items import GROUP, JOIN_OF_RESIDUAL, RESIDUAL
from cnncalc.spec.words import MAX_NAME, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnncalc.importing.sketch.operations import Call, Operation
    from cnncalc.importing.writing.chains import Step

Path = tuple[str, ...]


@dataclass(eq=False, slots=True)
class Entry:
    """One item of a spec."""

    kind: str
    """A layer kind, group, residual, add, concat or multiply; the name of a block."""
    fields: dict[str, Any] = field(default_factory=dict)
    operation: Operation | None = None
    parts: list[list[Entry]] = field(default_factory=list)
    """Of a group its items, of a join those of each branch."""
    sources: tuple[Operation, ...] | None = None
    wanted: str = ""
    """The name that it had where it comes from."""
    indexed: bool = False
    """Whether it had only a number, as in a Sequential."""
    name: str = ""
    """The name that is written; empty where the spec gives the same by itself."""
    module: str = ""
    """Of a group: the class of the module."""
    is_call: bool = False
    """Whether it calls a block; its parts are what it comes to here."""
    turns: list[Entry] = field(default_factory=list)
    """The entries after it that it stands for, by `repeat`."""
    repeat: str = ""
    """An expression for the number of turns, in a block whose calls differ in it."""
    condition: str = ""
    """An expression: left out unless true."""

    def part_names(self) -> list[str]:
        """The scopes of its parts within its own."""
        if self.kind == RESIDUAL:
            return ["body", "shortcut"]
        return [f"branch{number}" for number in range(1, len(self.parts) + 1)]


class Block(NamedTuple):
    """A list of entries with parameters, as the spec will have it."""

    parameters: dict[str, Any]
    entries: list[Entry]


FLAT = 10**6
"""A depth at which no step stands in a call."""


def entries_of(steps: Sequence[Step], depth: int = 0) -> list[Entry]:
    """The steps as entries; what one call of a module holds is a group, called like it.

    At the depth `FLAT` nothing is grouped, and each is called by its whole path.
    """
    entries = []
    for key, group in groupby(steps, key=lambda step: _key(step, depth)):
        run = [*group]
        if not key:
            places = [step.operation.place if depth == FLAT else "" for step in run]
            entries += [_entry(each, place, depth) for each, place in zip(run, places, strict=True)]
            continue
        call = run[0].calls[depth]
        if len(run) == 1 and len(run[0].calls) == depth + 1:
            kind = "" if run[0].branches else run[0].operation.kind
            made = _entry(run[0], _name_of(call, kind), depth)
        else:
            inner = entries_of(run, depth + 1)
            wanted = _name_of(call, "")
            made = Entry(GROUP, parts=[inner], wanted=wanted, module=_snake(call.kind))
        made.indexed = call.path.rpartition(".")[2].isdigit()
        entries.append(made)
    return entries


def _key(step: Step, depth: int) -> str:
    return step.calls[depth].key if len(step.calls) > depth else ""


def _entry(step: Step, wanted: str, depth: int) -> Entry:
    operation = step.operation
    if not step.branches:
        fields = dict(operation.fields)
        if not operation.weights and wanted.replace("_", "") == operation.kind.replace("_", ""):
            wanted = ""  # the spec's own name says as much
        return Entry(operation.kind, fields, operation, sources=step.sources, wanted=wanted)
    inner = FLAT if depth == FLAT else len(step.calls)
    parts = [entries_of(branch, inner) for branch in step.branches]
    kind = operation.kind
    if kind == JOIN_OF_RESIDUAL and len(parts) == 2 and len(parts[1]) < len(parts[0]):
        kind = RESIDUAL
    join = Entry(kind, {}, operation, parts, wanted=wanted)
    if step.sources is None:
        return join
    join.wanted = ""  # a join with branches takes what is before it: a group may take another
    return Entry(GROUP, parts=[[join]], sources=step.sources, wanted=wanted)


def _name_of(call: Call, kind: str) -> str:
    last = call.path.rpartition(".")[2]
    if last[:1].isdigit():
        last = f"{kind or _snake(call.kind) or 'part'}{last}"
    return last


def _snake(name: str) -> str:
    """`InvertedResidual` as inverted_residual."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip("_"))
    return re.sub(r"\W", "_", words).lower()


def give_names(entries: list[Entry]) -> None:
    """Names that are free in their scope, and written only where the spec gives others."""
    counts: dict[str, int] = {}
    taken: set[str] = set()
    for entry in entries:
        first = counts.get(entry.kind, 0) + 1
        counts[entry.kind] = first + len(entry.turns)
        default = f"{entry.kind}{first}"
        name = _usable(entry.wanted) or default
        if entry.turns:
            taken |= {f"{entry.kind}{first + turn}" for turn in range(len(entry.turns) + 1)}
            name = default
        else:
            base, number = name, 2
            if name in taken:
                base = name = default
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            taken.add(name)
        entry.name = "" if name == default else name
        for part in (part for turn in (entry, *entry.turns) for part in turn.parts):
            give_names(part)


def _usable(wanted: str) -> str:
    """A name that a spec may give, as close to the one wanted as may be; perhaps none."""
    name = re.sub(r"[^0-9a-zA-Z_]", "_", wanted).strip("_")[: MAX_NAME // 2]
    for candidate in (name, f"{name}_layer"):
        try:
            return check_name(candidate)
        except ReferenceSpecError:
            continue
    return ""


def paths_of(entries: list[Entry], scope: Path = ()) -> Iterator[tuple[Operation, Path]]:
    """Each operation and its path, as the spec names it."""
    counts: dict[str, int] = {}
    for entry in (turn for first in entries for turn in (first, *first.turns)):
        counts[entry.kind] = counts.get(entry.kind, 0) + 1
        path = (*scope, entry.name or f"{entry.kind}{counts[entry.kind]}")
        if entry.operation is None:
            for part in entry.parts:
                yield from paths_of(part, path)
            continue
        for name, part in zip(entry.part_names(), entry.parts, strict=True):
            yield from paths_of(part, (*path, name))
        yield entry.operation, path


def reference(target: Path, scope: Path, members: dict[Path, set[str]]) -> str:
    """What names `target` from within `scope`, where no nearer scope has a member of that name."""
    shared = 0
    while shared < min(len(target) - 1, len(scope)) and target[shared] == scope[shared]:
        shared += 1
    for start in range(shared, -1, -1):
        nearer = (scope[:depth] for depth in range(start + 1, len(scope) + 1))
        if not any(target[start] in members.get(each, ()) for each in nearer):
            return ".".join(target[start:])
    raise NamelessError(f"{'.'.join(target)} has no name in {'.'.join(scope)}")


class NamelessError(Exception):
    """An entry that another cannot name: one nearer bears the same name."""


def members_of(paths: Sequence[Path]) -> dict[Path, set[str]]:
    """The names in each scope."""
    found: dict[Path, set[str]] = {}
    for path in paths:
        for depth, name in enumerate(path):
            found.setdefault(path[:depth], set()).add(name)
    return found
