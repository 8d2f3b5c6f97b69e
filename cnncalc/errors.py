"""Every error that cnncalc raises on purpose.

    CnncalcError                  exit status 2 unless a class below says otherwise
    ├── UsageError                an unknown network, a bad option or argument
    ├── OutputError               a file that cannot be written           (exit status 1)
    └── SpecError                 something is wrong in a spec
        ├── SyntaxSpecError       not YAML, or YAML that a spec may not use
        ├── FieldError            an unknown, missing or ill-typed field, kind or key
        ├── ExpressionError       an expression that is unsafe, undefined or fails
        ├── ReferenceSpecError    a name that is unknown, ambiguous, taken or unused
        ├── ShapeError            layers that do not fit together; holds the graph so far
        └── LimitError            a network larger than the documented bounds

A `SpecError` knows its file, line and column (from 1), the path of the thing it speaks of
(`conv.kernel_size`) and, where there is one, a hint.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Place(NamedTuple):
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CnncalcError(Exception):
    """Base of every error that cnncalc raises on purpose."""

    exit_status = 2


class UsageError(CnncalcError):
    """A wrong option, argument or network name."""


class OutputError(CnncalcError):
    """A file that cannot be written."""

    exit_status = 1


class SpecError(CnncalcError):
    """Something is wrong in a spec: `message` at `path`, found at `place`."""

    def __init__(
        self, message: str, *, place: Place | None = None, path: str = "", hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.path = path
        self.hint = hint
        self.scope = ""

    @property
    def file(self) -> str | None:
        return self.place.file if self.place else None

    @property
    def line(self) -> int | None:
        return self.place.line if self.place else None

    @property
    def column(self) -> int | None:
        return self.place.column if self.place else None

    def at(self, place: Place | None, path: str = "") -> SpecError:
        """The same error, placed, unless it already knows better."""
        self.place = self.place or place
        self.path = self.path or path
        return self

    def within(self, scope: str) -> SpecError:
        """The same error, with the block calls that led to it, unless it names them already."""
        self.scope = self.scope or scope
        return self

    def __str__(self) -> str:
        path = self.path
        if self.scope and not path.startswith(self.scope):
            path = f"{path} in {self.scope}" if path else self.scope
        head = ": ".join(str(part) for part in (self.place, path) if part)
        message = f"{self.message}; {self.hint}" if self.hint else self.message
        lines = [f"{head}: {message}" if head else message]
        if self.place and self.place.text.strip():
            shown, column = _excerpt(self.place.text, self.place.column)
            lines += [f"    {shown}", f"    {' ' * (column - 1)}^"]
        return "\n".join(lines)


class SyntaxSpecError(SpecError):
    """Not YAML, or YAML that a spec may not use."""


class FieldError(SpecError):
    """An unknown, missing or ill-typed field, kind or key."""


class ExpressionError(SpecError):
    """An expression that is unsafe, undefined or fails."""


class ReferenceSpecError(SpecError):
    """A name that is unknown, ambiguous, taken or unused."""


class ShapeError(SpecError):
    """Layers that do not fit together. `graph` holds the nodes before the failing one."""

    graph: Any = None


class LimitError(SpecError):
    """A network larger than the documented bounds."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the known names where none is close and they are few."""
    names = [str(other) for other in known]
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""


def shorten(value: object, limit: int = 60) -> str:
    """`repr` of what was received, cut to `limit` characters, spelled as in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= 10**limit:
        return f"a number of over {limit} digits"
    if isinstance(value, list | tuple):
        value = list(value[:limit])
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _excerpt(text: str, column: int, width: int = 100) -> tuple[str, int]:
    """The part of a long line around `column`, and the column within it."""
    text = "".join(char if char.isprintable() else " " for char in text.rstrip())
    start = max(0, column - width // 2) if len(text) > width else 0
    return text[start : start + width], column - start
