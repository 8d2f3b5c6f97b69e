"""Folds a summary: groups, blocks and joins below a depth become one row each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from cnncalc.analysis.figures import FIGURES
from cnncalc.analysis.summary import Formulas, LayerSummary, Summary
from cnncalc.errors import UsageError
from cnncalc.maths.formula import expr, total

if TYPE_CHECKING:
    from cnncalc.maths.formula import Expr


def fold(summary: Summary, depth: int) -> Summary:
    """`summary` with names of at most `depth` parts; a folded row is called by its scope.

    Raises:
        UsageError: the depth is below 1.
    """
    if depth < 1:
        raise UsageError(f"the depth must be at least 1; received {depth}")

    def scope_of(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    rows = []
    for scope, group in groupby(summary.layers, key=lambda row: scope_of(row.name)):
        row = _folded(scope, [*group], summary)
        rows.append(row._replace(inputs=tuple(map(scope_of, row.inputs))))
    folded = replace(summary, layers=tuple(rows))
    vars(folded)["totals"] = summary.totals  # a folded row may hide what is not counted
    return folded


def _folded(scope: str, rows: list[LayerSummary], summary: Summary) -> LayerSummary:
    """One row for all; inputs and shapes are those that come from outside."""
    if len(rows) == 1 and rows[0].name == scope:
        return rows[0]
    inside = {row.name for row in rows}
    entries = {
        name: shape
        for row in rows
        for name, shape in zip(row.inputs, row.input_shapes, strict=True)
        if name not in inside
    }
    kind, output = summary.scopes[scope][:2]
    return summary.layers[output]._replace(
        name=scope,
        kind=kind,
        layer=f"{kind} of {len(rows)} layer{'s' if len(rows) > 1 else ''}",
        inputs=tuple(entries),
        input_shapes=tuple(entries.values()),
        weights={
            f"{row.name.removeprefix(scope).removeprefix('.')}.{name}": shape
            for row in rows
            for name, shape in row.weights.items()
        },
        figures={name: _added(name, rows) for name in FIGURES},
        formulas=Formulas(
            tuple(expr(size) for size in summary.layers[output].output_shape),
            {
                name: _sum(name, rows)
                for name in FIGURES
                if any(name in row.formulas.figures for row in rows)
            },
        ),
        shares=None,
    )


def _figures(name: str, rows: list[LayerSummary]) -> list[int] | None:
    """One figure of each row; None where one of them is unknown."""
    known = [value for row in rows if (value := row.figures[name]) is not None]
    return known if len(known) == len(rows) else None


def _added(name: str, rows: list[LayerSummary]) -> int | None:
    values = _figures(name, rows)
    return None if values is None else sum(values)


def _sum(name: str, rows: list[LayerSummary]) -> Expr | None:
    """The worked sum, equal values taken together: `2·4096 + 16384`."""
    values = _figures(name, rows)
    if values is None:
        return None
    counts = Counter(values)
    return total(count * expr(value) if count > 1 else value for value, count in counts.items())
