"""The fields in which the calls of a block differ, as few parameters and expressions of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.importing.sketch.operations import place_of
from cnncalc.importing.writing.entries import Entry
from cnncalc.layers import find
from cnncalc.spec.items import RESIDUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnncalc.importing.writing.entries import Block

PROJECT = "project"
REPEATS = "repeats"
PREFERRED = ("out_channels", "kernel_size", "stride")
"""Fields that become the first parameters."""


class Slot(NamedTuple):
    """One field at one place of the block, and its value in each call."""

    entry: Entry
    """In the block's body."""
    field: str
    values: tuple[Any, ...]
    default: Any
    in_channels: tuple[int, ...]
    """What flows in there, in each call."""


class Slots:
    """Several lists of entries of one form, read side by side."""

    def __init__(self, members: Sequence[list[Entry]], blocks: Mapping[str, Block]) -> None:
        self.members = members
        self.blocks = blocks
        self.projects: tuple[bool, ...] = ()
        """Which calls have the shortcut that others leave empty."""
        self.shortcut: list[Entry] = []
        self.found: list[Slot] = []
        self.body = self.read(members)

    def read(self, members: Sequence[list[Entry] | None]) -> list[Entry]:
        """The body of the block; members that lack an optional part are None."""
        present = [member for member in members if member is not None]
        body = []
        for index in range(len(present[0])):
            entries = [None if member is None else member[index] for member in members]
            body.append(self.read_entry(entries))
        return body

    def read_entry(self, entries: Sequence[Entry | None]) -> Entry:
        first = next(entry for entry in entries if entry is not None)
        made = replace(first, fields=dict(first.fields), parts=[], turns=list(first.turns))
        channels = tuple(0 if entry is None else _in_channels(entry) for entry in entries)
        names = dict.fromkeys(name for entry in entries if entry for name in entry.fields)
        for name in names:
            default = self.default(first, name)
            values = tuple(
                None if entry is None else entry.fields.get(name, default) for entry in entries
            )
            self.found.append(Slot(made, name, values, default, channels))
        turns = tuple(0 if entry is None else len(entry.turns) + 1 for entry in entries)
        if {*turns} - {0} != {1}:
            most = max((entry for entry in entries if entry), key=lambda entry: len(entry.turns))
            made.turns = list(most.turns)
            self.found.append(Slot(made, REPEATS, turns, None, channels))
        if first.is_call:
            return made
        for place, part in enumerate(first.parts):
            parts = [None if entry is None else entry.parts[place] for entry in entries]
            if first.kind == RESIDUAL and place == 1:
                made.parts.append(self.read_shortcut(parts))
            else:
                made.parts.append(self.read(parts) if part else [])
        return made

    def read_shortcut(self, parts: Sequence[list[Entry] | None]) -> list[Entry]:
        present = tuple(bool(part) for part in parts)
        if not any(present):
            return []
        body = self.read([part or None for part in parts])
        if not all(present):
            self.projects = present
            self.shortcut = body
        return body

    def default(self, entry: Entry, name: str) -> Any:
        """The value of a field that is not written."""
        if entry.is_call:
            return self.blocks[entry.kind].parameters[name]
        cls = find(entry.kind)
        field = cls.model_fields.get(name) if cls is not None else None
        return None if field is None or field.is_required() else field.get_default()


def unified(slots: Slots) -> tuple[dict[str, Any], list[Entry], list[dict[str, Any]]]:
    """Parameters with their defaults, the body with expressions, the arguments of each call."""
    chosen = _Parameters(len(slots.members))
    for slot in sorted(slots.found, key=_order):
        text = _value(slot, chosen)
        if slot.field == REPEATS:
            slot.entry.repeat = text if isinstance(text, str) else ""
        elif text == slot.default and not isinstance(text, str):
            slot.entry.fields.pop(slot.field, None)
        else:
            slot.entry.fields[slot.field] = text
    for slot in slots.found:
        slot.entry.fields = {
            name: slot.entry.fields[name] for name in sorted(slot.entry.fields, key=place_of)
        }
    if slots.projects:
        default = _condition(slots, chosen)
        chosen.add(PROJECT, slots.projects, default)
        for entry in slots.shortcut:
            entry.condition = f"={PROJECT}"
    return chosen.declared(), slots.body, chosen.arguments()


class _Parameters:
    """The parameters of a block: the value of each in every call, and its default."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.values: dict[str, tuple[Any, ...]] = {}
        self.defaults: dict[str, Any] = {}

    def add(self, field: str, values: tuple[Any, ...], default: Any) -> str:
        name, number = field, 2
        while name in self.values:
            name, number = f"{field.rstrip('0123456789')}{number}", number + 1
        self.values[name] = values
        self.defaults[name] = default
        return name

    def declared(self) -> dict[str, Any]:
        names = sorted(self.values, key=lambda name: self.defaults[name] is not None)
        return {name: self.defaults[name] for name in names}

    def arguments(self) -> list[dict[str, Any]]:
        return [
            {
                name: self.values[name][call]
                for name in self.declared()
                if self.values[name][call] is not None
                and not self.is_default(name, self.values[name][call])
            }
            for call in range(self.calls)
        ]

    def is_default(self, name: str, value: Any) -> bool:
        default = self.defaults[name]
        return (isinstance(default, str) and default[:1] == "=") or value == default


def _order(slot: Slot) -> int:
    return PREFERRED.index(slot.field) if slot.field in PREFERRED else len(PREFERRED)


def _value(slot: Slot, chosen: _Parameters) -> Any:
    """What a field is in the block: the one value of all calls, or an expression."""
    known = [value for value in slot.values if value is not None and value != 0]
    if slot.field == REPEATS:
        known = [value for value in slot.values if value]
    if not known or all(value == known[0] for value in slot.values if value is not None):
        return known[0] if known else next(v for v in slot.values if v is not None)
    whole = all(type(value) is int for value in known)
    ways = [_as_parameter, _as_multiple, _as_input] if whole else [_as_parameter]
    for way in ways[::-1] if slot.field == "groups" else ways:
        text = way(slot, chosen)
        if text:
            return text
    default = slot.default if slot.default in slot.values else None
    if isinstance(default, str) and default[:1] == "=":
        default = None
    return f"={chosen.add(slot.field, slot.values, default)}"


def _agree(slot: Slot, others: Sequence[Any]) -> bool:
    """Whether these are the slot's values, where it has any."""
    pairs = zip(slot.values, others, strict=True)
    return all(value is None or value == other for value, other in pairs)


def _as_parameter(slot: Slot, chosen: _Parameters) -> str:
    for name, values in chosen.values.items():
        if _agree(slot, values) and _alike(slot.field, name):
            return f"={name}"
    return ""


def _as_multiple(slot: Slot, chosen: _Parameters) -> str:
    for name, values in chosen.values.items():
        if not _alike(slot.field, name) or not all(type(value) is int for value in values):
            continue
        pairs = [(v, other) for v, other in zip(slot.values, values, strict=True) if v]
        factor = pairs[0][0] // pairs[0][1] if pairs and pairs[0][1] else 0
        if factor > 1 and all(value == factor * other for value, other in pairs):
            return f"={factor}*{name}"
    return ""


def _as_input(slot: Slot, _: _Parameters) -> str:
    widths = ("out_channels", "groups", "out_features")
    return "=in_channels" if slot.field in widths and _agree(slot, slot.in_channels) else ""


def _alike(field: str, parameter: str) -> bool:
    """Whether a field may be said by a parameter: a width by a width, not by a kernel's size."""
    widths = ("out_channels", "groups", "out_features")
    base = parameter.rstrip("0123456789")
    return base == field or (field in widths and base in widths)


def _condition(slots: Slots, chosen: _Parameters) -> Any:
    """When a shortcut projects: where the stride or the channels change, if that is always so."""
    entries = [member[0] for member in slots.members]
    channels = [_in_channels(entry) for entry in entries]
    strides = chosen.values.get("stride", (1,) * len(channels))
    texts = [
        slot.entry.fields.get("out_channels")
        for slot in slots.found
        if slot.field == "out_channels" and slot.entry in slots.shortcut
    ]
    widths = [slot for slot in slots.found if slot.field == "out_channels"]
    outs = texts or [slot.entry.fields.get("out_channels") for slot in widths[-1:]]
    for text in [*outs, *(slot.entry.fields.get("out_channels") for slot in widths)]:
        values = _evaluated(text, chosen)
        if values is None:
            continue
        changed = tuple(
            stride not in (None, 1) or before != after
            for stride, before, after in zip(strides, channels, values, strict=True)
        )
        if changed == slots.projects:
            said = f"in_channels != {str(text).removeprefix('=')}"
            return f"=stride != 1 or {said}" if "stride" in chosen.values else f"={said}"
    return False


def _evaluated(text: Any, chosen: _Parameters) -> tuple[int, ...] | None:
    """The value of `=width` or `=4*width` in each call."""
    if not isinstance(text, str):
        return (text,) * chosen.calls if isinstance(text, int) else None
    factor, _, name = text.removeprefix("=").rpartition("*")
    values = chosen.values.get(name)
    if values is None or None in values:
        return None
    return tuple(int(factor or 1) * value for value in values)


def _in_channels(entry: Entry) -> int:
    """The channels that flow into an entry."""
    first = next(_operations(entry), None)
    return first.inputs[0].shape[0] if first is not None else 0


def _operations(entry: Entry) -> Iterator[Any]:
    for part in entry.parts:
        for inner in part:
            yield from _operations(inner)
    if entry.operation is not None:
        yield entry.operation
