"""Every error that cnncalc raises on purpose.

    CnncalcError                  exit status 2 unless a class below says otherwise
    ├── UsageError                an unknown network, a bad option or argument
    │   └── ImageError            an image file that cannot be used
    │       └── CorruptImageError one that cannot be decoded
    ├── OutputError               a file that cannot be written           (exit status 1)
    ├── TrainingError             a run that cannot go on                 (exit status 1)
    │   └── LostError             one whose other processes are gone
    ├── CheckError                a check that found a difference         (exit status 1)
    └── SpecError                 something is wrong in a spec
        ├── SyntaxSpecError       not YAML, or YAML that a spec may not use
        ├── FieldError            an unknown, missing or ill-typed field, kind or key
        ├── ExpressionError       an expression that is unsafe, undefined or fails
        ├── ReferenceSpecError    a name that is unknown, ambiguous, taken or unused
        ├── ShapeError            layers that do not fit together; holds the graph so far
        └── LimitError            a network larger than the documented bounds

    IncompleteWarning             not raised: totals that are lower bounds

A `SpecError` knows its file, line and column (from 1), the path of the thing it speaks of
(`conv.kernel_size`) and, where there is one, a hint.
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.wording import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_PATH = 120
LONGEST_MESSAGE = 600
LONGEST_NAME = 64
"""Longer names than this are neither suggested nor compared."""
MOST_NAMES = 5000


Mark = tuple[int, int]
"""Line and column, from 0."""


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
    process: int | None = None
    """Of several processes of one run, the one that it happened in; the first for what all met."""

    def __str__(self) -> str:
        return one_line(super().__str__(), 4 * LONGEST_MESSAGE)


class UsageError(CnncalcError):
    """A wrong option, argument or network name; `advice` is how the network would be changed."""

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice

    def __str__(self) -> str:
        text = super().__str__()
        return one_line(f"{text}: {self.advice}" if self.advice else text, 2 * LONGEST_MESSAGE)


class ImageError(UsageError):
    """An image file that cannot be used.

    A DataLoader's worker hands an error on as the text of its traceback; made of such a text, this
    is the error again.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().rsplit(f"{type(self).__name__}: ", 1)[-1])


class CorruptImageError(ImageError):
    """An image that cannot be decoded."""


def torch_is_missing(error: ModuleNotFoundError, what: str) -> Exception:
    """What to raise where `what` could not import PyTorch; any other error stays as it is."""
    if error.name not in ("torch", "torchvision"):
        return error
    return UsageError(f"{what} needs PyTorch: pip install torch torchvision")


class IncompleteWarning(UserWarning):
    """A summary whose totals are no more than lower bounds, as something was left out."""


class OutputError(CnncalcError):
    """A file that cannot be written."""

    exit_status = 1


class TrainingError(CnncalcError):
    """A run that cannot go on."""

    exit_status = 1


class LostError(TrainingError):
    """A run of several processes that has lost one."""


class CheckError(CnncalcError):
    """A check that found a difference."""

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
        path = one_line(path, LONGEST_PATH)
        place = printable(str(self.place)) if self.place else ""
        head = ": ".join(part for part in (place, path) if part)
        message = one_line(self.message, LONGEST_MESSAGE)
        message = f"{message}; {printable(self.hint)}" if self.hint else message
        lines = [f"{head}: {message}" if head else message]
        if self.place and self.place.text.strip():
            shown, before = _excerpt(self.place.text, self.place.column)
            lines += [f"    {shown}", f"    {' ' * before}^"]
        return "\n".join(lines)


class SyntaxSpecError(SpecError):
    """Not YAML, or YAML that a spec may not use."""


class FieldError(SpecError):
    """An unknown, missing or ill-typed field, kind or key."""


class ExpressionError(SpecError):
    """An expression that is unsafe, undefined or fails; `undefined` is the unknown name."""

    undefined = ""


class ReferenceSpecError(SpecError):
    """A name that is unknown, ambiguous, taken or unused."""


class ShapeError(SpecError):
    """Layers that do not fit together. `graph` holds the nodes before the failing one."""

    graph: Any = None


class LimitError(SpecError):
    """A network larger than the documented bounds."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the known names where none is close and they are few."""
    names = [other for other in map(str, islice(known, MOST_NAMES)) if len(other) <= LONGEST_NAME]
    spelled = {other.lower(): other for other in reversed(names)}
    close = get_close_matches(name[: LONGEST_NAME + 1].lower(), spelled, n=1, cutoff=0.7)
    if close:
        return f"did you mean {spelled[close[0]]}?"
    return f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""


def reason_of(error: BaseException) -> str:
    """`ValueError: …`, its first line."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__


def shorten(value: object, limit: int = 60) -> str:
    """What was received, spelled as in YAML's flow style and cut to `limit` characters."""
    text = ""
    for piece in _spelled(value, limit):
        text += piece
        if len(text) > limit:
            return f"{text[: limit - 1]}…"
    return text


def _spelled(value: object, limit: int) -> Iterator[str]:
    """The text of a value in pieces, so that no more than is shown need be written."""
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, str):
        yield repr(value[: limit + 1])
    elif isinstance(value, int) and abs(value) >= 10**limit:
        yield f"a number of over {limit} digits"
    elif isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{str(key)[: limit + 1]}: "
            yield from _spelled(item, limit)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _spelled(item, limit)
        yield "]"
    else:
        yield repr(value)


def _excerpt(text: str, column: int, width: int = 100) -> tuple[str, int]:
    """The part of a long line around `column`, and the cells of a terminal that stand before it."""
    text = "".join(char if char.isprintable() else " " for char in text.rstrip()[: column + width])
    start = max(0, column - width // 2) if len(text) > width else 0
    before = text[start : column - 1].ljust(column - 1 - start)
    if not before.isascii():
        from unicodedata import combining, east_asian_width

        cells = (0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in before)
        return text[start : start + width], sum(cells)
    return text[start : start + width], len(before)
