"""CSV: exact numbers, a row for each layer and one of totals."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from cnncalc.render.columns import EXACT, choose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.analysis import Summary


def render(
    summary: Summary, columns: str | Iterable[str] | None = None, *, formulas: bool = False
) -> str:
    """Every column unless some are asked for; unknown figures are empty."""
    chosen = choose(EXACT if columns is None else columns)
    if formulas and columns is not None:
        chosen = tuple(dict.fromkeys((*chosen, *choose(columns, formulas=True))))
    chosen = tuple(column for column in chosen if column.name != "share")
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in chosen)
    for row in summary.layers:
        writer.writerow(column.exact(row) for column in chosen)
    totals = [
        getattr(summary.totals, column.total) if column.total and not column.worked else ""
        for column in chosen
    ]
    if totals and totals[0] == "":
        totals[0] = "total"
    writer.writerow(totals)
    return file.getvalue()
