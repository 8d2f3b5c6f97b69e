"""Folds a summary: groups, blocks and joins below a depth become one row each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from cnncalc.analysis import Formulas, LayerSummary, Summary
from cnncalc.errors import UsageError
from cnncalc.formula import expr, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.formula import Expr


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
    flops = [row.flops for row in rows if row.flops is not None]
    all_counted = len(flops) == len(rows)
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
        parameters=sum(row.parameters for row in rows),
        frozen_parameters=sum(row.frozen_parameters for row in rows),
        buffers=sum(row.buffers for row in rows),
        multiply_adds=sum(row.multiply_adds for row in rows),
        flops=sum(flops) if all_counted else None,
        weight_bytes=sum(row.weight_bytes for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        formulas=Formulas(
            tuple(expr(size) for size in summary.layers[output].output_shape),
            _sum(row.parameters for row in rows),
            _sum(row.multiply_adds for row in rows),
            _sum(flops) if all_counted else None,
            _sum(row.frozen_parameters for row in rows),
        ),
        shares=None,
    )


def _sum(values: Iterable[int]) -> Expr:
    """The worked sum, equal values taken together: `2·4096 + 16384`."""
    counts = Counter(values)
    return total(count * expr(value) if count > 1 else value for value, count in counts.items())
