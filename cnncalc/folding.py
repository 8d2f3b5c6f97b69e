"""Folds a summary: groups, blocks and joins below a depth become one row each."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from cnncalc.analysis import Formulas, LayerSummary, Summary
from cnncalc.errors import UsageError
from cnncalc.formula import expr, total


def fold(summary: Summary, depth: int) -> Summary:
    """`summary` with names of at most `depth` parts; a folded row is called by its scope.

    Raises:
        UsageError: the depth is below 1.
    """
    if depth < 1:
        raise UsageError(f"the depth must be at least 1; received {depth}")

    def scope_of(row: LayerSummary) -> str:
        return ".".join(row.name.split(".")[:depth])

    rows = tuple(
        _folded(scope, [*group], summary) for scope, group in groupby(summary.layers, key=scope_of)
    )
    return replace(summary, layers=rows)


def _folded(scope: str, rows: list[LayerSummary], summary: Summary) -> LayerSummary:
    if len(rows) == 1 and rows[0].name == scope:
        return rows[0]
    inside = {row.name for row in rows}
    entries = {
        name: shape
        for row in rows
        for name, shape in zip(row.inputs, row.input_shapes, strict=True)
        if name not in inside
    }
    kind = summary.scopes.get(scope, "group")
    last = rows[-1]
    flops = [row.flops for row in rows]
    counted = [value for value in flops if value is not None]
    return replace(
        last,
        name=scope,
        kind=kind,
        layer=f"{kind} of {len(rows)} layers" if len(rows) > 1 else kind,
        inputs=tuple(entries),
        input_shapes=tuple(entries.values()),
        weights={},
        parameters=sum(row.parameters for row in rows),
        frozen_parameters=sum(row.frozen_parameters for row in rows),
        buffers=sum(row.buffers for row in rows),
        multiply_adds=sum(row.multiply_adds for row in rows),
        flops=sum(counted) if len(counted) == len(flops) else None,
        weight_bytes=sum(row.weight_bytes for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        formulas=Formulas(
            tuple(expr(size) for size in last.output_shape),
            total(row.parameters for row in rows),
            total(row.multiply_adds for row in rows),
            total(value or 0 for value in flops) if len(counted) == len(flops) else None,
            total(row.frozen_parameters for row in rows),
        ),
        shares=None,
    )
