"""HTML: one table that brings its style along, to paste anywhere or show in a notebook.

Styles stand in the elements, since many sites and notebooks drop `<style>`; what is not ASCII
is written as `&#215;`, so that no page's encoding can spoil it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cnncalc.render.cells import tabulate
from cnncalc.render.columns import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis.summary import Summary
    from cnncalc.render.columns import Column

_TABLE = "border-collapse:collapse;font:14px/1.5 system-ui,sans-serif;white-space:nowrap"
_CAPTION = "text-align:left;font-weight:600;padding:4px 8px"
_TEXT = "padding:2px 8px;text-align:left"
_NUMBER = "padding:2px 8px;text-align:right;font-variant-numeric:tabular-nums"
_RULED = "border-bottom:1px solid"
_NOTE = "padding:0 8px;text-align:left;white-space:normal;font-size:12px;opacity:.7"
_BAR = "rgba(66,133,244,.3)"


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """A `<table>` with a caption, the totals and the notes."""
    cells = tabulate(summary, choose(columns, formulas=formulas))
    lines = [
        f'<table style="{_TABLE}">',
        f'<caption style="{_CAPTION}">{escape(cells.title)}</caption>',
        f'<thead style="{_RULED}">',
        _row([column.title for column in cells.columns], cells.columns, tag="th"),
        "</thead>",
        f'<tbody style="{_RULED}">',
        *(
            _row(row, cells.columns, bar=bar)
            for row, bar in zip(cells.rows, cells.bars, strict=True)
        ),
        "</tbody>",
        "<tfoot>",
        *([_row(cells.total, cells.columns, style="font-weight:600")] if cells.total else []),
        *(
            f'<tr><td colspan="{len(cells.columns)}" style="{_NOTE}">{escape(note)}</td></tr>'
            for note in cells.notes
        ),
        "</tfoot>",
        "</table>",
    ]
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode() + "\n"


def _row(
    cells: Sequence[str],
    columns: Sequence[Column],
    *,
    tag: str = "td",
    style: str = "",
    bar: float = 0,
) -> str:
    parts = []
    start = '<th scope="col"' if tag == "th" else f"<{tag}"
    for cell, column in zip(cells, columns, strict=True):
        look = _NUMBER if column.numeric else _TEXT
        if column.name == "share" and bar and cell:
            look += f";background:linear-gradient(to right,{_BAR} {bar:.1%},transparent 0)"
        parts.append(f'{start} style="{look}">{escape(cell)}</{tag}>')
    look = f' style="{style}"' if style else ""
    return f"<tr{look}>{''.join(parts)}</tr>"
