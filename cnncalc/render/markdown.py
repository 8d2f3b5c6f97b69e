"""Markdown, as GitHub renders it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnncalc.render.cells import tabulate
from cnncalc.render.columns import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis.summary import Summary

_SPECIAL = re.compile(r"[\\`*|<>\[\]~$&]|(?<!\w)_|_(?!\w)")


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """A bold line, a pipe table and the notes."""
    cells = tabulate(summary, choose(columns, formulas=formulas))
    rules = ["---:" if column.numeric else "---" for column in cells.columns]
    lines = [
        f"**{escape(cells.title)}**",
        "",
        _row([escape(column.title) for column in cells.columns]),
        _row(rules),
        *(_row([escape(cell) for cell in row]) for row in cells.rows),
    ]
    if cells.total is not None:
        lines.append(_row([f"**{escape(cell)}**" if cell else "" for cell in cells.total]))
    lines += ["", *(f"- {escape(note)}" for note in cells.notes)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that Markdown prints as it stands; `_` within a word needs no backslash."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
