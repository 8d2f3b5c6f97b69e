"""The table of a terminal. Columns are chosen to fit the terminal's width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from cnncalc.render.cells import Cells, fitting, tabulate
from cnncalc.render.columns import NARROWER, NARROWER_FORMULAS, choose
from cnncalc.render.layout import fits, laid_out, printed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table

    from cnncalc.analysis.summary import Summary

BAR_WIDTH = 8
SHARE = "share"
PERCENT = 6
"""Characters of a share: `100.0%`."""


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
    narrower = NARROWER_FORMULAS if formulas else NARROWER
    if width is None or columns is not None:
        cells = tabulate(summary, chosen)
    else:
        cells = fitting(summary, chosen, narrower, lambda cells: fits(_rows(cells), width))
    notes = (Text(note, style="dim") for note in cells.notes)
    title = Text(cells.title, style="bold")
    parts: list[RenderableType] = [title, Text(), _table(cells, width), Text(), *notes]
    return printed(parts, width=width, color=color)


def rows_only(summary: Summary, columns: str, width: int | None) -> str:
    """The rows without totals, title and notes: what precedes an error."""
    cells = tabulate(summary, choose(columns))._replace(total=None)
    return printed([_table(cells, width)], width=width)


def bar(length: float) -> str:
    """A part of 1 as a bar, in eighths of a character."""
    full, rest = divmod(round(length * BAR_WIDTH * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _table(cells: Cells, width: int | None) -> Table:
    titles, *rows = _rows(cells)
    numeric = [c.title for c in cells.columns if c.numeric and c.name != SHARE]
    total = rows.pop() if cells.total is not None else ()
    return laid_out(titles, rows, right=numeric, width=width, total=total)


def _rows(cells: Cells) -> list[list[str]]:
    """Titles, rows and total; shares are aligned, with a bar beside each."""
    titles = [column.title for column in cells.columns]
    rows, total = cells.rows, cells.total
    names = [column.name for column in cells.columns]
    if SHARE in names:
        at = names.index(SHARE)
        rows = [
            [*row[:at], f"{row[at]:>{PERCENT}} {bar(length)}".rstrip(), *row[at + 1 :]]
            for row, length in zip(rows, cells.bars, strict=True)
        ]
        if total is not None:
            total = [*total[:at], f"{total[at]:>{PERCENT}}", *total[at + 1 :]]
    return [titles, *rows, *([] if total is None else [total])]
