"""CSV: exact figures, a row for each layer and one of totals."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from cnncalc.render.columns import COLUMNS, choose, with_figures
from cnncalc.wording import csv_cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.analysis.summary import Summary

EVERYTHING = tuple(column.name for column in COLUMNS if column.name not in ("input_layer", "share"))


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """Every column unless some are asked for, a figure beside each formula; unknown ones empty.

    The last row holds the totals, if any column has one.
    """
    chosen = with_figures(choose(EVERYTHING if columns is None else columns, formulas=formulas))
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in chosen)
    for row in summary.layers:
        writer.writerow(csv_cell(column.exact(row, summary)) for column in chosen)
    totals = summary.totals
    cells = [
        totals.figures[column.total] if column.total and not column.formula_of else ""
        for column in chosen
    ]
    if any(value != "" for value in cells):
        name = "total" if totals.complete else "total (incomplete)"
        cells[0] = name if cells[0] == "" else cells[0]
        writer.writerow(cells)
    return file.getvalue()
