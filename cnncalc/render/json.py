"""JSON, schema version 1: keys are stable, new ones may be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
            **{
                name: getattr(totals, name)
                for name in (
                    "parameters",
                    "frozen_parameters",
                    "buffers",
                    "multiply_adds",
                    "flops",
                    "weight_bytes",
                    "activation_bytes",
                )
            },
            "receptive_field": _field(totals.receptive_field),
            "uncounted": totals.uncounted,
            **({"unknown": totals.unknown} if totals.unknown else {}),
        },
    }


def _layer(row: LayerSummary) -> dict[str, Any]:
    formulas = row.formulas
    data = {
        name: getattr(row, name)
        for name in (
            "name",
            "kind",
            "layer",
            "inputs",
            "input_shapes",
            "output_shape",
            "weights",
            "parameters",
            "frozen_parameters",
            "buffers",
            "multiply_adds",
            "flops",
        )
    }
    data |= {
        "receptive_field": _field(row.receptive_field),
        "weight_bytes": row.weight_bytes,
        "activation_bytes": row.activation_bytes,
        "formulas": {
            "output_shape": shape_formula(formulas.output_shape),
            "parameters": _text(formulas.parameters),
            "multiply_adds": _text(formulas.multiply_adds),
            "flops": _text(formulas.flops),
            "receptive_field": field_formula(formulas.receptive_field) or None,
        },
    }
    if row.frozen_parameters:
        data["formulas"]["frozen_parameters"] = _text(formulas.frozen_parameters)
    if row.shares is not None:
        data["shares"] = row.shares
    return data


def _text(formula: Expr | None) -> str | None:
    return None if formula is None else formula.text


def _field(field: ReceptiveField) -> dict[str, Any]:
    """Null stands for axes of which nothing is known."""
    return {
        name: None if values and all(value is None for value in values) else values
        for name, values in field._asdict().items()
    }
