"""How figures are written for people: `460,800`, `138.4 M`, `97.7 MiB`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.analysis.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnncalc.maths.formula import Expr

_DECIMAL = (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6))
_BINARY = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def group(value: int) -> str:
    """`460,800`."""
    return f"{value:,}"


def scale(value: int) -> str:
    """`138.4 M`; numbers below a million are grouped."""
    for prefix, size in _DECIMAL:
        if value >= size:
            return f"{value / size:,.1f} {prefix}"
    return group(value)


def scale_bytes(value: int) -> str:
    """`97.7 MiB`."""
    for prefix, size in _BINARY:
        if value >= size:
            return f"{value / size:,.1f} {prefix}"
    return f"{value} B"


def write_figure(name: str, value: int) -> str:
    """A figure of a row, or its sum."""
    return scale_bytes(value) if FIGURES[name].in_bytes else group(value)


def shape_formula(shape: Iterable[Expr]) -> str:
    """`32 × (⌊(28 + 2·0 − 5)/1⌋ + 1) × …`: each length as it was worked out."""
    texts = (size.text for size in shape)
    return " × ".join(f"({text})" if " " in text else text for text in texts)


def field_formula(fields: Sequence[Expr] | None) -> str:
    """`(5 + (3 − 1)·1) × …`, one for each axis; empty where there is none."""
    return " × ".join(f"({field.text})" for field in fields) if fields else ""


def worked(formula: str, result: str) -> str:
    """`32·(5²·1 + 1) = 832`; the result alone where nothing was worked out."""
    if formula.replace(" ", "") in ("", "0", result.replace(",", "")):
        return result
    return f"{formula} = {result}"
