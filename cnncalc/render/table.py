"""The table of a terminal, laid out by rich. Columns are chosen to fit the terminal's width."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnncalc.render.cells import Cells, tabulate
from cnncalc.render.columns import NARROWER, NARROWER_FORMULAS, choose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import RenderableType

    from cnncalc.analysis.summary import Summary

BAR_WIDTH = 8
SHARE = "share"
PERCENT = 6
"""Characters of a share: `100.0%`."""
GAP = 2
LONGEST_WORD = 28
"""A column of text is not made narrower than its longest word, up to this."""
UNBOUNDED = 1_000_000
"""A width in which nothing is wrapped: that of a file or a pipe."""


def render(
    summary: Summary,
    columns: str | Iterable[str] | None = None,
    *,
    formulas: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The table as text; without `width` nothing is left out, wrapped or cut."""
    chosen = choose(columns, formulas=formulas)
    cells = tabulate(summary, chosen)
    if width is not None and columns is None:
        for dropped in NARROWER_FORMULAS if formulas else NARROWER:
            if _natural_width(cells) <= width:
                break
            kept = tuple(column for column in chosen if column.name not in dropped)
            cells = tabulate(summary, kept)
    notes = (Text(note, style="dim") for note in cells.notes)
    title = Text(cells.title, style="bold")
    parts: list[RenderableType] = [title, Text(), _table(cells, width), Text(), *notes]
    return printed(parts, width=width, color=color)


def rows_only(summary: Summary, columns: str, width: int | None) -> str:
    """The rows without totals, title and notes: what precedes an error."""
    cells = tabulate(summary, choose(columns))._replace(total=None)
    return printed([_table(cells, width)], width=width)


def plain_table(titles: Sequence[str], right: Collection[str]) -> Table:
    """A table without rows; the columns to the `right` hold numbers, which are never broken."""
    table = Table(box=SIMPLE, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for title in titles:
        number = title in right
        table.add_column(
            title, justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    return table


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


def bar(length: float) -> str:
    """A part of 1 as a bar, in eighths of a character."""
    full, rest = divmod(round(length * BAR_WIDTH * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _table(cells: Cells, width: int | None) -> Table:
    numeric = [c.title for c in cells.columns if c.numeric and c.name != SHARE]
    table = plain_table([column.title for column in cells.columns], right=numeric)
    if cells.total is not None:
        table.show_footer = True
        for column, shown, total in zip(cells.columns, table.columns, cells.total, strict=True):
            shown.footer_style = "bold"
            shown.footer = f"{total:>{PERCENT}}" if column.name == SHARE else total
    rows = _with_bars(cells)
    if width is None or _natural_width(cells) <= width:
        # Where no cell is wrapped a column is one cell of many lines: rich is four times as fast.
        rows = [["\n".join(column) for column in zip(*rows, strict=True)]]
    else:
        rigid = [column.numeric for column in cells.columns]
        for shown, fit in zip(table.columns, fitted(_texts(cells), rigid, width), strict=True):
            shown.width = fit
    for row in rows:
        table.add_row(*row)
    return table


def _with_bars(cells: Cells) -> list[list[str]]:
    """The rows, with a bar beside each share."""
    names = [column.name for column in cells.columns]
    if SHARE not in names:
        return cells.rows
    at = names.index(SHARE)
    return [
        [*row[:at], f"{row[at]:>{PERCENT}} {bar(length)}".rstrip(), *row[at + 1 :]]
        for row, length in zip(cells.rows, cells.bars, strict=True)
    ]


def _texts(cells: Cells) -> Iterable[tuple[str, ...]]:
    """All that stands in each column, its title and total included."""
    titles = [column.title for column in cells.columns]
    return zip(titles, *_with_bars(cells), cells.total or titles, strict=True)


def fitted(columns: Iterable[Sequence[str]], numeric: Iterable[bool], width: int) -> list[int]:
    """The widths of columns, given all that stands in each.

    The widest of text give way first, no number and no word does.
    """
    widths, least = [], []
    for texts, is_number in zip(columns, numeric, strict=True):
        longest = max(cell_len(word) for text in texts for word in text.split() or [""])
        widths.append(max(map(cell_len, texts)))
        least.append(longest if is_number else min(longest, LONGEST_WORD))
    while sum(widths) + GAP * (len(widths) - 1) > width:
        room = [(size, at) for at, size in enumerate(widths) if size > least[at]]
        if not room:
            break
        widths[max(room)[1]] -= 1
    return widths


def _natural_width(cells: Cells) -> int:
    """The width in which nothing is wrapped."""
    widths = [max(map(cell_len, texts)) for texts in _texts(cells)]
    return sum(widths) + GAP * (len(widths) - 1)
