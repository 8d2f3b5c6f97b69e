"""The text of a spec, and plain data that remember where in it they stood.

`Mapping` and `Sequence` are a dict and a list that know the line and column of every key and
value.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.errors import Mark, Place, SyntaxSpecError, UsageError

if TYPE_CHECKING:
    from collections import abc

MAX_BYTES = 4 * 2**20

_NOWHERE: Mark = (-1, -1)
"""The place of a value that was set from outside."""


class Mapping(dict[str, Any]):
    """A dict that remembers its place, and that of each key and value."""

    __slots__ = ("mark", "marks", "source")

    def __init__(self, source: Source, mark: Mark) -> None:
        super().__init__()
        self.source = source
        self.mark = mark
        self.marks: dict[Any, tuple[Mark, Mark]] = {}


class Sequence(list[Any]):
    """A list that remembers its place, and that of each item."""

    __slots__ = ("mark", "marks", "source")

    def __init__(self, source: Source, mark: Mark) -> None:
        super().__init__()
        self.source = source
        self.mark = mark
        self.marks: list[Mark] = []


class Source:
    """The text of one spec and the name that messages give it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def place(self, mark: Mark) -> Place:
        lines = self.text.splitlines()
        text = lines[mark[0]] if mark[0] < len(lines) else ""
        return Place(self.name, mark[0] + 1, mark[1] + 1, text)


def place_of(container: object, key: Any = None, *, of_key: bool = False) -> Place | None:
    """Where `container[key]` stands (or its key); None if the data come from no file.

    A key that is missing is placed at its container.
    """
    if isinstance(container, Mapping):
        key_mark, value_mark = container.marks.get(key, (container.mark, container.mark))
        mark = key_mark if of_key else value_mark
        return None if mark == _NOWHERE else container.source.place(mark)
    if isinstance(container, Sequence):
        inside = isinstance(key, int) and 0 <= key < len(container.marks)
        return container.source.place(container.marks[key] if inside else container.mark)
    return None


def fields_at(container: object, key: Any, main: str | None) -> dict[str, Any]:
    """No fields, at the place of `container[key]`; the field `main` will stand there as well."""
    fields: dict[str, Any] = {}
    if isinstance(container, Sequence):
        fields = Mapping(container.source, container.marks[key])
    elif isinstance(container, Mapping):
        marks = container.marks[key]
        fields = Mapping(container.source, marks[0])
        fields.marks[main] = marks
    return fields


def overlaid(
    fields: abc.Mapping[str, Any], key: str, value: Any, *, inside: bool = False
) -> dict[str, Any]:
    """A copy with another value at `key`, one that stands nowhere in the file.

    `inside`: it is the old value with a change somewhere within; its place is kept.
    """
    if not isinstance(fields, Mapping):
        return {**fields, key: value}
    copy = Mapping(fields.source, fields.mark)
    copy.update(fields)
    copy[key] = value
    marks = fields.marks.get(key) if inside else None
    copy.marks = {**fields.marks, key: marks or (_NOWHERE, _NOWHERE)}
    return copy


def read(path: str) -> Source:
    """The text of a file, or of standard input for `-`.

    Raises:
        UsageError: it cannot be read, is no text, or is larger than `MAX_BYTES`.
    """
    name = "<stdin>" if path == "-" else path
    try:
        if path == "-":
            if sys.stdin is None:
                raise UsageError(f"{name}: cannot be read: it is closed")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: is larger than {MAX_BYTES // 2**20} MiB: not a spec")
    return Source(name, _decode(name, data))


def _decode(name: str, data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise SyntaxSpecError(
                "is not UTF-16 text", place=Place(name, 1, 1), hint="save the file as UTF-8"
            ) from None
        shown = data[: error.start].decode(errors="replace") + "\ufffd"
        raise SyntaxSpecError(
            f"is not UTF-8 text: byte 0x{data[error.start]:02x}",
            place=place_of_last(name, shown),
            hint="save the file as UTF-8",
        ) from None


def place_of_last(name: str, text: str) -> Place:
    """The place of the last character of a text."""
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)
    return Place(name, len(lines), len(lines[-1]), lines[-1] if "\0" not in text else "")
