"""What a network repeats, written once: groups of equal form become calls of a block.

Groups are taken from the inside outwards. Those of one class whose items are of the same kinds and
names are calls of one block; a field in which they differ is its parameter.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnncalc.importing.writing.entries import Block
from cnncalc.importing.writing.parameters import Slots, unified
from cnncalc.layers import registry
from cnncalc.spec.architecture import ITEM_KEYS, SUGAR
from cnncalc.spec.items import GROUP, RESIDUAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.importing.sketch.operations import Operation
    from cnncalc.importing.writing.entries import Entry

PLAIN = frozenset(("sequential", "module_list", ""))
"""Classes of modules that say nothing of what they hold."""


def fold(entries: list[Entry]) -> dict[str, Block]:
    """Replaces, in place, what is repeated by calls of the blocks that are returned."""
    blocks: dict[str, Block] = {}
    for entry in _all(entries):
        entry.wanted = "" if entry.indexed else entry.wanted
    named = {operation for entry in _all(entries) for operation in _referred(entry)}
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in _all(entries):
        if entry.kind == GROUP and entry.sources is None and not _is_tied(entry, named):
            groups.setdefault(_class(entry), []).append(entry)
    for key in sorted(groups, key=lambda key: max(map(_height, groups[key]))):
        for group in groups[key]:
            _take_turns(group.parts[0], named)
        _part_first_turns(groups[key])
        clusters: dict[Any, list[Entry]] = {}
        for group in groups[key]:
            if not any(_class(inner) == key for part in group.parts for inner in _all(part)):
                clusters.setdefault(_form(group.parts[0]), []).append(group)
        for members in clusters.values():
            if len(members) > 1 and len(members[0].parts[0]) > 1:
                _make_block(key, members, blocks)
    _unwrap(entries)
    _take_turns(entries, named)
    return blocks


def _unwrap(entries: list[Entry]) -> None:
    """Puts in the place of a group without a name the one entry that it holds."""
    for index, entry in enumerate(entries):
        for part in () if entry.is_call else entry.parts:
            _unwrap(part)
        bare = entry.kind == GROUP and not entry.wanted and entry.sources is None
        if bare and not entry.turns and len(entry.parts[0]) == 1:
            entries[index] = entry.parts[0][0]


def _make_block(key: tuple[str, str], members: list[Entry], blocks: dict[str, Block]) -> None:
    """One block for all members, which become its calls."""
    slots = Slots([member.parts[0] for member in members], blocks)
    parameters, body, arguments = unified(slots)
    name = _free_name(key, {*blocks, *parameters})
    blocks[name] = Block(parameters, body)
    for member, given in zip(members, arguments, strict=True):
        member.kind, member.fields, member.is_call = name, given, True


def _free_name(key: tuple[str, str], taken: set[str]) -> str:
    module, wanted = key
    name = wanted.strip("_") if module in PLAIN else module
    name = name if name.isidentifier() else "block"
    if name in registry() or name in SUGAR or name in ITEM_KEYS:
        name = f"{name}_block"
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _class(entry: Entry) -> tuple[str, str]:
    """What entries of one block have in common; plain containers go by their names."""
    wanted = re.sub(r"\d+$", "", entry.wanted) if entry.module in PLAIN else ""
    return entry.module, wanted


def _all(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        for turn in (entry, *entry.turns):
            for part in turn.parts:
                yield from _all(part)


def _referred(entry: Entry) -> Iterator[Operation]:
    """The operations that an entry names."""
    yield from entry.sources or ()
    if entry.operation is not None and entry.operation.shares is not None:
        yield entry.operation.shares


def _is_tied(entry: Entry, named: set[Operation]) -> bool:
    """Whether something in it names another item, or is named."""
    inside = [inner for part in entry.parts for inner in _all(part)]
    return any(inner.operation in named or any(_referred(inner)) for inner in (entry, *inside))


def _height(entry: Entry) -> int:
    inner = [1 + _height(each) for part in entry.parts for each in part if each.parts]
    return max(inner, default=0)


def _form(entries: list[Entry]) -> Any:
    """What calls of one block have in common: all but fields, turns and an empty shortcut."""
    forms = []
    for entry in entries:
        parts = entry.parts[:1] if entry.kind == RESIDUAL else entry.parts
        inner = () if entry.is_call else tuple(map(_form, parts))
        frozen = entry.operation is not None and entry.operation.frozen
        forms.append((entry.kind, entry.wanted, frozen, entry.is_call, inner))
    return tuple(forms)


def _take_turns(entries: list[Entry], named: set[Operation]) -> None:
    """Lets the first of several equal entries stand for all, in lists and the joins in them."""
    for entry in entries:
        for part in () if entry.is_call else entry.parts:
            _take_turns(part, named)
    kept: list[Entry] = []
    for entry in entries:
        if kept and entry.parts and _equal(kept[-1], entry):
            tied = _is_tied(kept[-1], named) or _is_tied(entry, named)
            if not tied and not _plain_name(entry):
                _forget_numbers([*kept[-1:], entry])
                kept[-1].turns.append(entry)
                continue
        kept.append(entry)
    entries[:] = kept


def _part_first_turns(groups: list[Entry]) -> None:
    """Parts the first of several turns from the rest, where that makes a group like another."""
    forms = {_form(group.parts[0]) for group in groups}
    for group in groups:
        (entries,) = group.parts
        if len(entries) != 1 or not entries[0].turns:
            continue
        first, second, *others = (replace(entries[0], turns=[]), *entries[0].turns)
        parted = [first, replace(second, turns=others)]
        if _form(parted) in forms:
            group.parts[0] = parted


def _plain_name(entry: Entry) -> str:
    """The name of an entry; none for a call whose name tells it from others by a number."""
    return re.sub(r".*\d$", "", entry.wanted) if entry.is_call else entry.wanted


def _forget_numbers(entries: list[Entry]) -> None:
    """Drops the names that tell turns apart."""
    for entry in entries:
        if entry.is_call:
            entry.wanted = ""
        else:
            for part in entry.parts:
                _forget_numbers(part)


def _equal(one: Entry, other: Entry) -> bool:
    def written(entry: Entry) -> Any:
        parts = [] if entry.is_call else [[written(each) for each in part] for part in entry.parts]
        frozen = entry.operation is not None and entry.operation.frozen
        return (entry.kind, _plain_name(entry), entry.fields, len(entry.turns), frozen, parts)

    return bool(written(replace(one, turns=[])) == written(other))
