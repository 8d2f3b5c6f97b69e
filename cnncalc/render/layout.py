"""Columns of text side by side, within a width: wrapped where a reader would, or set in bands.

Written out rather than left to a library: a chain of 20,000 layers takes half a second here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GAP = 2
INDENT = 2
"""Of the further lines of a cell."""
SHORT = 5
LONG_BRACKET = 36
NARROWEST = 16
"""A wrapped column is not made narrower than this while another way is left."""

_KNOWN = dict.fromkeys(map(ord, "×·−–…⌊⌋⌈⌉─█▉▊▋▌▍▎▏⁰¹²³⁴⁵⁶⁷⁸⁹"))
_SPACE = r"(?<= )(?<!= )(?<!× )(?<!\+ )(?<!− )(?![KMGTP]i?B?\b|B\b)"
"""After a space, but not between an operator and its operand or a number and its unit."""
_WITHIN = _SPACE + r"|(?<=\w\.)(?<!nn\.)(?=[^\W\d])|(?<=\w\()(?=[^\W\d])"


def cell_width(text: str) -> int:
    """How many places a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    others = text.translate(_KNOWN)
    if others.isascii() or max(others) < "\u0300":
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _outer_pieces(text: str) -> list[str]:
    """`text` cut at its spaces outside brackets, an operator before its operand.

    A short operand stays with what follows it: `32 × (…)`.
    """
    pieces, depth = [""], 0
    for piece in re.split(_SPACE, text):
        if depth == 0 and len(pieces[-1]) > SHORT:
            pieces.append("")
        pieces[-1] += piece
        depth += piece.count("(") - piece.count(")")
    return pieces


def _inner_pieces(text: str) -> list[str]:
    """`text` cut wherever a line may end: at spaces, after a name's dot or a call's bracket."""
    return re.split(_WITHIN, text)


def fill(text: str, width: int) -> list[str]:
    """A sentence in lines of at most `width` places."""
    lines = [""]
    for piece in re.split(_SPACE, text):
        _add(lines, piece, width)
    return [line.rstrip() for line in lines]


def wrap(text: str, width: int) -> list[str]:
    """A cell in lines of at most `width` places; what cannot be broken stays longer than that.

    Formulas are broken outside their brackets where that is possible.
    """
    if cell_width(text) <= width:
        return [text]
    lines = [""]
    for piece in _outer_pieces(text):
        whole = cell_width(piece.rstrip()) <= width - INDENT
        for part in [piece] if whole else _inner_pieces(piece):
            _add(lines, part, width)
    return [line.rstrip() for line in lines]


def _add(lines: list[str], piece: str, width: int) -> None:
    """Puts `piece` on the last line, or on a new one if it does not fit there."""
    if lines[-1].strip() and cell_width((lines[-1] + piece).rstrip()) > width:
        lines.append(" " * INDENT)
    lines[-1] += piece


@dataclass
class Track:
    """One column to lay out: its title, its cells, and the cell of the last row."""

    title: str
    cells: Sequence[str]
    total: str = ""
    right: bool = False
    formula: bool = False
    title_lines: tuple[str, ...] = ()

    @property
    def head(self) -> tuple[str, ...]:
        return self.title_lines or (self.title,)

    @cached_property
    def _content(self) -> int:
        return max(map(cell_width, (self.total, *self.cells)))

    @property
    def natural(self) -> int:
        """The width in which nothing is wrapped."""
        return max(self._content, *map(cell_width, self.head))

    @cached_property
    def floor(self) -> int:
        """The least width: that of the longest piece which cannot be broken."""
        if self.right:
            return self.natural
        longest = 0
        for text in {*self.cells, self.total, *self.head}:
            for index, piece in enumerate(self._pieces(text)):
                longest = max(longest, cell_width(piece.rstrip()) + (INDENT if index else 0))
        return max(longest, min(self.natural, NARROWEST))

    def _pieces(self, text: str) -> list[str]:
        """`text` as a narrow column would cut it; brackets of formulas only if they are long."""
        if not self.formula:
            return _inner_pieces(text)
        pieces: list[str] = []
        for piece in _outer_pieces(text):
            pieces += _inner_pieces(piece) if cell_width(piece) > LONG_BRACKET else [piece]
        return pieces

    def with_short_title(self) -> Track:
        """The same with its title over several lines, if that makes it narrower."""
        lines = tuple(re.split(r" |(?<=-)", self.title))
        narrower = max(map(cell_width, lines)) < cell_width(self.title)
        if not narrower or self._content >= cell_width(self.title):
            return self
        return replace(self, title_lines=lines)


def total_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def natural_width(tracks: Sequence[Track]) -> int:
    return total_width([track.natural for track in tracks])


def bands(tracks: Sequence[Track], width: int | None) -> Iterator[tuple[list[Track], list[int]]]:
    """Tracks and their widths, band by band; each band begins with the first track."""
    if width is None or natural_width(tracks) <= width:
        yield [*tracks], [track.natural for track in tracks]
        return
    first, *others = (track.with_short_title() for track in tracks)
    band: list[Track] = [first]
    for track in others:
        if len(band) > 1 and total_width([t.floor for t in (*band, track)]) > width:
            yield band, _shrunk(band, width)
            band = [first]
        band.append(track)
    yield band, _shrunk(band, width)


def _shrunk(tracks: list[Track], width: int) -> list[int]:
    """Widths of at most `width` together: the widest columns give way first."""
    widths = [track.natural for track in tracks]
    while total_width(widths) > width:
        room = [
            (size, index)
            for index, (size, track) in enumerate(zip(widths, tracks, strict=True))
            if size > track.floor
        ]
        if not room:
            break
        size, index = max(room)
        excess = total_width(widths) - width
        below = max((other for other, _ in room if other < size), default=0)
        floor = max(tracks[index].floor, min(size - 1, max(below, size - excess)))
        widths[index] = floor
    return widths


def draw(
    tracks: Sequence[Track],
    width: int | None,
    *,
    strong: Callable[[str], str] = str,
    total: bool = True,
) -> Iterator[str]:
    """The lines of a table; bands stand below each other, an empty line between them.

    `total` asks for a last row, which a band without any total does not have.
    """
    for number, (band, widths) in enumerate(bands(tracks, width)):
        if number:
            yield ""
        rule = "─" * total_width(widths)
        for line in _head(band, widths):
            yield strong(line)
        yield rule
        for cells in zip(*(track.cells for track in band), strict=True):
            yield from _row(cells, band, widths)
        if total and any(track.total for track in band[1:] or band):
            yield rule
            for line in _row([track.total for track in band], band, widths):
                yield strong(line)


def _head(tracks: list[Track], widths: list[int]) -> Iterator[str]:
    height = max(len(track.head) for track in tracks)
    for number in range(height):
        cells = []
        for track in tracks:
            above = height - len(track.head)
            cells.append(track.head[number - above] if number >= above else "")
        yield _line(cells, tracks, widths)


def _row(cells: Sequence[str], tracks: list[Track], widths: list[int]) -> Iterator[str]:
    if all(map(int.__le__, map(len, cells), widths)) and "".join(cells).isascii():
        yield _line(cells, tracks, widths)
        return
    lines = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*lines, fillvalue=""):
        yield _line(parts, tracks, widths)


def _line(cells: Sequence[str], tracks: list[Track], widths: list[int]) -> str:
    padded = []
    for cell, track, width in zip(cells, tracks, widths, strict=True):
        blank = " " * (width - cell_width(cell))
        padded.append(blank + cell if track.right else cell + blank)
    return (" " * GAP).join(padded).rstrip()
