"""The terminal table, laid out by rich."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnncalc.render.columns import DROPPED_FIRST, Cells, choose, tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.analysis import Summary

_UNBOUNDED = 100_000


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
        for name in DROPPED_FIRST:
            if _natural_width(cells) <= width:
                break
            chosen = tuple(
                column for column in chosen if column.name.removesuffix("_formula") != name
            )
            cells = tabulate(summary, chosen)
    console = Console(
        file=StringIO(),
        width=width or _UNBOUNDED,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    notes = (Text(note, style="dim") for note in cells.notes)
    return _printed(console, Text(cells.title, style="bold"), _table(cells), *notes)


def _table(cells: Cells) -> Table:
    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for column, total in zip(cells.columns, cells.total, strict=True):
        table.add_column(
            column.title,
            Text(total),
            justify="right" if column.numeric else "left",
            overflow="fold",
            footer_style="bold",
        )
    for row in cells.rows:
        table.add_row(*map(Text, row))
    return table


def _natural_width(cells: Cells) -> int:
    lines = [[column.title for column in cells.columns], *cells.rows, cells.total]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return sum(widths) + 2 * len(widths)


def print_plain(titles: list[str], rows: list[list[str]], right: tuple[int, ...] = ()) -> str:
    """A table of plain text, as wide as it needs to be."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(titles):
        table.add_column(name, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return _printed(Console(file=StringIO(), width=_UNBOUNDED, no_color=True), table)


def _printed(console: Console, *parts: Table | Text) -> str:
    for part in parts:
        console.print(part)
    assert isinstance(console.file, StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
