"""LaTeX with booktabs: a `tabular`, or a `longtable` where the rows would not fit a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cnncalc.render.columns import choose, tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.analysis import Summary

ROWS_OF_A_PAGE = 40

_TEXT = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    "→": r"$\to$",
    "█": r"\rule{.5em}{1.2ex}",
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
    "–": r"\text{--}",
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """A table to paste or \\input; needs booktabs, and longtable where it says so."""
    chosen = tuple(
        column for column in choose(columns, formulas=formulas) if column.name != "share"
    )
    cells = tabulate(summary, chosen)
    alignment = "".join("r" if column.numeric else "l" for column in chosen)
    maths = [column.worked for column in chosen]
    head = _row([escape(column.title) for column in chosen])
    body = [_row([_cell(*pair) for pair in zip(row, maths, strict=True)]) for row in cells.rows]
    total = _row([_cell(*pair) for pair in zip(cells.total, [False] * len(maths), strict=True)])
    long = len(body) > ROWS_OF_A_PAGE
    environment = "longtable" if long else "tabular"
    packages = r"\usepackage{booktabs,longtable}" if long else r"\usepackage{booktabs}"
    lines = [
        f"% {cells.title}",
        f"% in the preamble: {packages}",
        f"\\begin{{{environment}}}{{{alignment}}}",
        r"\toprule",
        head,
        r"\midrule",
        *([r"\endhead"] if long else []),
        *body,
        r"\midrule",
        total,
        r"\bottomrule",
        f"\\end{{{environment}}}",
        *(f"% {note}" for note in cells.notes),
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands, with any engine."""
    text = "".join(_TEXT.get(char, char) for char in text)
    return re.sub(
        "[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: f"$^{{{match.group().translate(_SUPERSCRIPTS)}}}$", text
    )


def maths(text: str) -> str:
    """A worked formula in mathematics."""
    text = "".join(_MATHS.get(char, char) for char in text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"^{{{m.group().translate(_SUPERSCRIPTS)}}}", text)
    return f"${text}$"


def _cell(text: str, is_formula: bool) -> str:
    return maths(text) if is_formula and text else escape(text)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
