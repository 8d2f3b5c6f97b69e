"""HTML: one table with its own style, to paste anywhere or show in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cnncalc.render.columns import choose, tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis import Summary
    from cnncalc.render.columns import Column

_STYLE = """<style>
.cnncalc { border-collapse: collapse; font: 14px/1.5 system-ui, sans-serif }
.cnncalc caption { text-align: left; font-weight: 600; padding: 4px 8px }
.cnncalc th, .cnncalc td { padding: 2px 8px; text-align: left; white-space: nowrap }
.cnncalc thead th, .cnncalc tbody:last-of-type tr:last-child { border-bottom: 1px solid }
.cnncalc tfoot .total td { font-weight: 600 }
.cnncalc tfoot .note td { white-space: normal; opacity: .7; font-size: 12px }
.cnncalc .n { text-align: right; font-variant-numeric: tabular-nums }
</style>"""


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """A `<table>` with a caption, the totals and the notes."""
    cells = tabulate(summary, choose(columns, formulas=formulas))
    titles = [column.title for column in cells.columns]
    span = len(titles)
    lines = [
        '<table class="cnncalc">',
        _STYLE,
        f"<caption>{escape(cells.title)}</caption>",
        f"<thead>{_row(titles, cells.columns, tag='th')}</thead>",
        "<tbody>",
        *(_row(row, cells.columns) for row in cells.rows),
        "</tbody>",
        "<tfoot>",
        _row(cells.total, cells.columns, name="total"),
        *(
            f'<tr class="note"><td colspan="{span}">{escape(note)}</td></tr>'
            for note in cells.notes
        ),
        "</tfoot>",
        "</table>",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str], columns: Sequence[Column], tag: str = "td", name: str = "") -> str:
    row = "".join(
        f"<{tag}{' class=n' if column.numeric else ''}>{escape(cell)}</{tag}>"
        for cell, column in zip(cells, columns, strict=True)
    )
    return f'<tr class="{name}">{row}</tr>' if name else f"<tr>{row}</tr>"
