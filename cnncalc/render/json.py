"""JSON, schema version 1: keys are stable, new ones may be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncalc.analysis.figures import FIGURES
from cnncalc.errors import UsageError
from cnncalc.render.figures import field_formula, shape_formula
from cnncalc.wording import json_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.analysis.summary import LayerSummary, ReceptiveField, Summary
    from cnncalc.maths.formula import Expr

SCHEMA_VERSION = 1


def render(
    summary: Summary,
    columns: str | Iterable[str] | None = None,
    *,
    formulas: bool = False,  # noqa: ARG001 - they are always there
) -> str:
    """One object with every figure and formula, a layer a line.

    Raises:
        UsageError: columns are chosen; JSON always holds everything.
    """
    if columns is not None:
        raise UsageError("JSON holds every figure; a choice of columns is for the other formats")
    return json_lines(to_dict(summary), listed=("layers",))


def to_dict(summary: Summary) -> dict[str, Any]:
    """The summary as plain data."""
    totals = summary.totals
    return {
        "schema_version": SCHEMA_VERSION,
        "name": summary.name,
        "source": summary.source,
        "input_shape": summary.input_shape,
        "output_shape": summary.output_shape,
        "batch_size": summary.batch_size,
        "dtype": summary.dtype,
        "layers": [_layer(row) for row in summary.layers],
        "totals": {
            **totals.figures,
            "receptive_field": _field(totals.receptive_field),
            "uncounted": totals.uncounted,
            "complete": totals.complete,
            **({"unknown": totals.unknown} if totals.unknown else {}),
            **({"left_out": totals.left_out.model_dump()} if totals.left_out else {}),
        },
    }


def _layer(row: LayerSummary) -> dict[str, Any]:
    formulas = row.formulas
    data = {
        "name": row.name,
        "kind": row.kind,
        "layer": row.layer,
        "inputs": row.inputs,
        "input_shapes": row.input_shapes,
        "output_shape": row.output_shape,
        "weights": row.weights,
        **_figures(row, in_bytes=False),
        "receptive_field": _field(row.receptive_field),
        **_figures(row, in_bytes=True),
        "formulas": {
            "output_shape": shape_formula(formulas.output_shape),
            **{
                name: _text(formulas.figures.get(name))
                for name, figure in FIGURES.items()
                if figure.formula
            },
            "receptive_field": field_formula(formulas.receptive_field) or None,
            **{
                name: _text(formula)
                for name, formula in formulas.figures.items()
                if row.figures[name] and not FIGURES[name].formula
            },
        },
    }
    if row.shares is not None:
        data["shares"] = row.shares
    return data


def _figures(row: LayerSummary, *, in_bytes: bool) -> dict[str, int | None]:
    return {
        name: value for name, value in row.figures.items() if FIGURES[name].in_bytes is in_bytes
    }


def _text(formula: Expr | None) -> str | None:
    return None if formula is None else formula.text


def _field(field: ReceptiveField) -> dict[str, Any]:
    """Null stands for axes of which nothing is known."""
    return {
        name: None if values and all(value is None for value in values) else values
        for name, values in field._asdict().items()
    }
