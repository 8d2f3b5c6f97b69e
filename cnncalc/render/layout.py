"""Tables of a terminal: rows of text, laid out by rich to fit its width."""

from __future__ import annotations

from io import StringIO
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import RenderableType
    from rich.text import Text

GAP = 2
LONGEST_WORD = 28
"""A column of text is not made narrower than its longest word, up to this."""
UNBOUNDED = 1_000_000
"""A width in which nothing is wrapped: that of a file or a pipe."""


def laid_out(
    titles: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    right: Collection[str],
    width: int | None,
    total: Sequence[str] = (),
    breaks_titles: bool = False,
    breaks_words: bool = False,
) -> Table:
    """A table of `width` at most, if it can be; None: of any.

    The columns to the `right` hold numbers, which are never broken; with `breaks_titles` their
    titles have a line for each word where room is scarce. With `breaks_words` text gives way
    however little of it is left, and no title does. `total` stands below the rows.
    """
    table = _headed(titles, right)
    if total:
        table.show_footer = True
        for column, text in zip(table.columns, total, strict=True):
            column.footer, column.footer_style = text, "bold"
    below = [*rows, total] if total else rows
    if fits([titles, *below], width):
        if all(isinstance(cell, str) for row in rows for cell in row):
            # Nothing is wrapped: as one cell of many lines a column takes rich a quarter.
            rows = [["\n".join(map(str, column)) for column in zip(*rows, strict=True)]]
    elif width is not None:
        heads = _broken(titles, right) if breaks_titles else titles
        above = title_lines(titles, right) if breaks_titles else [titles]
        texts = [*zip(*above, *below, strict=True)]
        least = []
        for title, cells in zip(titles, texts, strict=True):
            if breaks_words:
                least.append(max(map(_length, cells)) if title in right else 1)
            else:
                least.append(min(_longest_word(cells), width if title in right else LONGEST_WORD))
        fitted = _fitted(texts, least, width)
        for column, head, fit in zip(table.columns, heads, fitted, strict=True):
            column.header, column.width = head, fit
    for row in rows:
        table.add_row(*row)
    return table


def fits(rows: Iterable[Sequence[str | Text]], width: int | None) -> bool:
    """Whether rows, that of the titles among them, are no wider than `width` unless wrapped."""
    if width is None:
        return True
    widest = [max(map(_length, column)) for column in zip(*rows, strict=True)]
    return sum(widest) + GAP * (len(widest) - 1) <= width


def title_lines(titles: Sequence[str], right: Collection[str]) -> list[tuple[str, ...]]:
    """The rows that titles take where those of figures have a line for each word."""
    heads = (head.split("\n") for head in _broken(titles, right))
    return [*zip_longest(*heads, fillvalue="")]


def printed(
    parts: Iterable[RenderableType], *, width: int | None = None, color: bool = False
) -> str:
    """What rich makes of `parts`, without trailing spaces; numbers are never cut."""
    file = StringIO()
    console = Console(
        file=file,
        width=width or UNBOUNDED,
        force_terminal=color,
        color_system="standard" if color else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        fixed = [column.width for column in part.columns] if isinstance(part, Table) else []
        console.width = max(width or UNBOUNDED, sum((each or 0) + GAP for each in fixed))
        console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _headed(titles: Sequence[str], right: Collection[str]) -> Table:
    table = Table(box=SIMPLE, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for title in titles:
        number = title in right
        table.add_column(
            title, justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    return table


def _broken(titles: Sequence[str], right: Collection[str]) -> list[str]:
    return [title.replace(" ", "\n") if title in right else title for title in titles]


def _fitted(columns: Sequence[Sequence[str | Text]], least: Sequence[int], width: int) -> list[int]:
    """The widths of columns, given all that stands in each: the widest give way first."""
    widths = [max(map(_length, texts)) for texts in columns]
    while sum(widths) + GAP * (len(widths) - 1) > width:
        room = [(size, at) for at, size in enumerate(widths) if size > least[at]]
        if not room:
            break
        widths[max(room)[1]] -= 1
    return widths


def _longest_word(texts: Iterable[str | Text]) -> int:
    return max(cell_len(word) for text in texts for word in str(text).split() or [""])


def _length(cell: str | Text) -> int:
    return cell_len(str(cell))
