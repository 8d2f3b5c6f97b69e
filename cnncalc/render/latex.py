"""LaTeX with booktabs: a `tabular` shrunk to the line, or a `longtable` where rows fill pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnncalc.render.cells import fitting, tabulate
from cnncalc.render.columns import NARROWER, NARROWER_FORMULAS, choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis.summary import Summary
    from cnncalc.render.cells import Cells

ROWS_OF_A_PAGE = 40
LINE = 96
"""Characters on a line of a page, in the small print of a long table."""
UNWRAPPED = 14
"""Columns up to this width are never wrapped."""

_TEXT = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "→": r"$\to$",
    "≥": r"$\geq$",
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
}
_MATHS = {
    "·": r" \cdot ",
    "×": r" \times ",
    "−": "-",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    ",": "{,}",
    "–": r"\mbox{--}",
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWER = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_BREAK = re.compile(r"(?<=\w\.)(?<!nn\.)(?=\w)|(?<=\w\()(?=\w)")


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """A table to paste or to include; its second line names the packages that it needs."""
    cells = tabulate(summary, choose(columns, formulas=formulas))
    long = len(cells.rows) > ROWS_OF_A_PAGE
    if long and columns is None:
        narrower = NARROWER_FORMULAS if formulas else NARROWER
        cells = fitting(summary, cells.columns, narrower, lambda cells: sum(_widths(cells)) <= LINE)
    maths = [column.formula_of is not None for column in cells.columns]
    head = _row([escape(column.title) for column in cells.columns])
    body = [_row([*map(_cell, row, maths)]) for row in cells.rows]
    total = [r"\midrule", _row([*map(escape, cells.total)])] if cells.total else []
    notes = "\\\\\n".join(map(escape, cells.notes))
    if long:
        table, packages = _long(cells, head, [*body, *total]), "booktabs,longtable,array"
    else:
        table, packages = _short(cells, head, [*body, *total]), "booktabs,graphicx"
    lines = [
        f"% {cells.title}",
        f"% in the preamble: \\usepackage{{{packages}}}",
        *table,
        rf"{{\footnotesize\raggedright\noindent {notes}\par}}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands, with any engine."""
    return _POWER.sub(
        lambda power: f"$^{{{power.group().translate(_SUPERSCRIPTS)}}}$",
        "".join(_TEXT.get(char, char) for char in text),
    )


def maths(text: str) -> str:
    """A worked formula in mathematics."""
    text = "".join(_MATHS.get(char, char) for char in text)
    return f"${_POWER.sub(lambda m: f'^{{{m.group().translate(_SUPERSCRIPTS)}}}', text)}$"


def _short(cells: Cells, head: str, rows: list[str]) -> list[str]:
    alignment = "".join("r" if column.numeric else "l" for column in cells.columns)
    return [
        r"\noindent\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        head,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip",
    ]


def _long(cells: Cells, head: str, rows: list[str]) -> list[str]:
    return [
        r"{\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{longtable}}{{@{{}}{_alignment(cells)}@{{}}}}",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        *rows,
        r"\bottomrule",
        r"\end{longtable}}",
    ]


def _widths(cells: Cells) -> list[int]:
    """Characters of each column and of the space beside it."""
    columns = zip(*cells.rows, strict=True)
    longest = [max(map(len, column)) for column in columns]
    titles = [max(map(len, column.title.split())) for column in cells.columns]
    return [max(pair) + 2 for pair in zip(longest, titles, strict=True)]


def _alignment(cells: Cells) -> str:
    """Of a long table: its wide columns of text share what the others leave of the line."""
    widths = _widths(cells)
    wide = [
        width if width > UNWRAPPED and not column.numeric else 0
        for width, column in zip(widths, cells.columns, strict=True)
    ]
    left = LINE - sum(widths) + sum(wide)
    if sum(wide) <= left:
        wide = [0] * len(wide)
    parts = []
    for column, width in zip(cells.columns, wide, strict=True):
        share = width / sum(wide) * max(left, LINE // 3) / LINE if width else 0
        wrapped = rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}"
        parts.append(wrapped if width else "r" if column.numeric else "l")
    return "".join(parts)


def _cell(text: str, is_formula: bool) -> str:
    if is_formula and text:
        return maths(text)
    return r"\allowbreak{}".join(map(escape, _BREAK.split(text)))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
