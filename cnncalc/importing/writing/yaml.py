"""Entries -> a spec: plain data, and the YAML that a person would write."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cnncalc.importing.writing.entries import Entry, members_of, paths_of, reference
from cnncalc.layers import find
from cnncalc.spec.items import GROUP, RESIDUAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnncalc.importing.sketch.operations import Operation
    from cnncalc.importing.writing.entries import Block, Path

WIDTH = 100
"""Characters on a line of YAML, where it can be broken."""


class Writer:
    """Writes entries whose names are given."""

    def __init__(
        self, entries: list[Entry], entry: Operation, blocks: Mapping[str, Block] | None = None
    ) -> None:
        self.blocks = blocks or {}
        self.entry = entry
        self.paths: dict[Operation, Path] = dict(paths_of(entries))
        self.members = members_of([*self.paths.values()])

    def items(self, entries: Sequence[Entry], scope: Path = ()) -> list[Any]:
        """The entries as the items of a list of layers."""
        counts: dict[str, int] = {}
        items = []
        for entry in entries:
            counts[entry.kind] = counts.get(entry.kind, 0) + 1 + len(entry.turns)
            name = entry.name or f"{entry.kind}{counts[entry.kind]}"
            items.append(self.item(entry, scope, (*scope, name)))
        return items

    def item(self, entry: Entry, scope: Path, path: Path) -> Any:
        options: dict[str, Any] = {}
        if entry.turns:
            options["repeat"] = entry.repeat or 1 + len(entry.turns)
        elif entry.name:
            options["name"] = entry.name
        if entry.condition:
            options["if"] = entry.condition
        operation = entry.operation
        after: dict[str, Any] = {}
        if entry.sources is not None:
            after["inputs"] = [self.name_of(source, scope) for source in entry.sources]
        if operation is not None and operation.shares is not None:
            after["shares"] = self.name_of(operation.shares, scope)
        elif operation is not None and operation.frozen:
            after["frozen"] = True
        kind, value = self.value(entry, path)
        if not options and not after and value in (None, {}):
            return kind
        return {**options, kind: {} if value is None else value, **after}

    def value(self, entry: Entry, path: Path) -> tuple[str, Any]:
        """The word of an item and what stands behind it."""
        if entry.kind == GROUP:
            return "layers", self.items(entry.parts[0], path)
        if entry.is_call or not entry.parts:
            return entry.kind, self.scalar(entry)
        parts = [
            self.items(part, (*path, name))
            for name, part in zip(entry.part_names(), entry.parts, strict=True)
        ]
        if entry.kind != RESIDUAL:
            return entry.kind, parts
        body, shortcut = parts
        return RESIDUAL, {"body": body, "shortcut": shortcut} if shortcut else body

    def name_of(self, operation: Operation, scope: Path) -> str:
        if operation is self.entry:
            return "input"
        return reference(self.paths[operation], scope, self.members)

    def scalar(self, entry: Entry) -> Any:
        """The fields of a layer or a call, or the main one alone."""
        if entry.is_call:
            main = next(iter(self.blocks[entry.kind].parameters), None)
        else:
            cls = find(entry.kind)
            main = cls.main if cls is not None else None
        if main is not None and [*entry.fields] == [main]:
            value = entry.fields[main]
            return value if not isinstance(value, dict | list) else entry.fields
        return entry.fields or None

    def declared(self) -> dict[str, Any]:
        """The blocks as plain data."""
        return {
            name: {
                **({"parameters": block.parameters} if block.parameters else {}),
                "layers": self.items(block.entries),
            }
            for name, block in self.blocks.items()
        }


def to_yaml(data: Mapping[str, Any]) -> str:
    """A spec as text: short items on one line, lists of layers and joins on several."""
    lines: list[str] = []
    for key, value in data.items():
        if lines and key in ("blocks", "layers", "imported"):
            lines.append("")
        lines += _block_entries(value) if key == "blocks" else _under(key, value, 0)
    return "\n".join(lines) + "\n"


def _block_entries(blocks: Mapping[str, Any]) -> list[str]:
    lines = ["blocks:"]
    for name, block in blocks.items():
        lines.append(f"  {name}:")
        if block.get("parameters"):
            flow = ", ".join(
                key if value is None else f"{key}: {_flow(value)}"
                for key, value in block["parameters"].items()
            )
            lines.append(f"    parameters: {{{flow}}}")
        lines += ["    layers:", *_list(block["layers"], 6)]
    return lines


def _under(key: str, value: Any, indent: int) -> list[str]:
    """`key: value` on one line, or the value's lines below its key."""
    pad = " " * indent
    text = _flow(value)
    fits = not _is_long(value) and indent + len(key) + len(text) + 2 <= WIDTH
    if fits or not isinstance(value, list | dict):
        return [f"{pad}{key}: {text}"]
    if isinstance(value, list):
        return [f"{pad}{key}:", *_list(value, indent + 2)]
    lines = [f"{pad}{key}:"]
    for name, inner in value.items():
        lines += _under(name, inner, indent + 2)
    return lines


def _list(items: Sequence[Any], indent: int) -> list[str]:
    """Each item behind a dash; a branch is a list within the list."""
    lines = []
    for item in items:
        text = _flow(item)
        if not _is_long(item) and indent + len(text) + 2 <= WIDTH:
            lines.append(f"{' ' * indent}- {_bare(item, text)}")
            continue
        if isinstance(item, list):
            inner = _list(item, indent + 2)
        else:
            inner = [line for key, value in item.items() for line in _under(key, value, indent + 2)]
        lines += [f"{' ' * indent}- {inner[0].lstrip()}", *inner[1:]]
    return lines


def _bare(item: Any, text: str) -> str:
    """An item of one key without the braces around it."""
    return text[1:-1] if isinstance(item, dict) and len(item) == 1 else text


def _is_long(value: Any) -> bool:
    """Whether it holds layers, which stand on lines of their own."""
    if isinstance(value, list):
        return (
            bool(value)
            and any(isinstance(each, dict | str | list) for each in value)
            and not all(isinstance(each, str | int | float) or _is_numbers(each) for each in value)
        )
    return isinstance(value, dict) and any(map(_is_long, value.values()))


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, int | float) for each in value)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


_PLAIN = re.compile(r"=?[A-Za-z_][\w.*/+ -]*\w|=?[A-Za-z_]|=\d+[\w.*/+-]*")
_WORDS = frozenset("true false null yes no on off".split())  # noqa: SIM905


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
