"""Text of files made fit to print: every printer sends what it did not write itself through here.

A file is data: it can neither move the cursor, break a line nor turn the order of what is read.
Values stay as they are; only what is shown of them is changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import SupportsInt

_JOINERS = "\u00ad\u200c\u200d"
"""A soft hyphen, and what joins or parts letters: invisible, and part of words and emoji."""
LONGEST_NUMBER = 24
_RUN_BY_SPREADSHEETS = re.compile(r"[=+@\t\r]|-(?!\d+(?:x-?\d*)*$)")
"""How a formula begins; `-16x-16` is numbers."""


def _is_safe(char: str) -> bool:
    if char.isprintable() or char in _JOINERS:
        return True
    from unicodedata import category

    return category(char) == "Zs"


def printable(text: str) -> str:
    r"""`text` with escapes for what is no character of a line.

    Control characters, line breaks and single surrogates as Python writes them (`\x1b`, `\n`);
    marks of direction, separators and what is not assigned as `U+202E`.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_safe(char) else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    is_control = code < 0xA0 or 0xD800 <= code < 0xE000
    return repr(char)[1:-1] if is_control else f"U+{code:04X}"


def lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str, limit: int) -> str:
    """The same, its middle left out if it is too long."""
    text = printable(text[: 9 * limit])
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 :]}"


def some(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names if more <= 0 else [*names[:most], f"and {more:,} more"])


def write_shape(shape: Iterable[SupportsInt]) -> str:
    """`32×24×24`; a number that fills a line, as a file may hold one, in short: `1.00e30`."""
    texts = [str(int(size)) for size in shape]
    return "×".join(
        text if len(text) <= LONGEST_NUMBER else f"{text[0]}.{text[1:3]}e{len(text) - 1}"
        for text in texts
    )


def write_shapes(shapes: Iterable[Iterable[SupportsInt]]) -> str:
    """`32×1×5×5, 32`."""
    return ", ".join(map(write_shape, shapes))


def times(shape: Sequence[int | None]) -> str:
    """`32x24x24`, as options take it and CSV holds it; empty where there is no number."""
    if all(size is None for size in shape):
        return ""
    return "x".join("" if size is None else str(size) for size in shape)


def write_axes(values: Sequence[int | None]) -> str:
    """A figure for each axis, `7×7`; a dash where there is none."""
    if all(value is None for value in values):
        return "–"
    return "×".join("–" if value is None else str(value).replace("-", "−") for value in values)


def either(names: Iterable[str]) -> str:
    """`png, svg or pdf`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def as_json(value: Any) -> str:
    r"""JSON in one line, as UTF-8 but for what is not safe to print: `\u202e`."""
    import json  # by those who write it alone: every command loads this file

    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if _is_safe(char) else json.dumps(char)[1:-1] for char in text)


def json_lines(data: Mapping[str, Any], listed: Collection[str] = ()) -> str:
    """An object of JSON, a key a line; of those `listed`, an item a line."""
    rows = []
    for key, value in data.items():
        text = as_json(value)
        if key in listed and value:
            text = "[\n  " + ",\n  ".join(map(as_json, value)) + "\n ]"
        rows.append(f" {as_json(key)}: {text}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs: text that begins like a formula gets an apostrophe.

    Numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    mark = "'" if _RUN_BY_SPREADSHEETS.match(value) else ""
    return mark + printable(value)
