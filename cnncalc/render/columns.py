"""The columns of every table: one list, read by each format.

A column says its cell twice: `cell` for people (`51,264`, `32×24×24`) and `exact` for machines
(`51264`, `32x24x24`). A new column is one row of `COLUMNS`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.figures import FIGURES
from cnncalc.errors import UsageError, did_you_mean
from cnncalc.render.figures import (
    field_formula,
    shape_formula,
    worked,
    write_figure,
)
from cnncalc.wording import printable, times, write_axes, write_shape, write_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cnncalc.analysis.figures import Figure
    from cnncalc.analysis.summary import LayerSummary, Summary


class Column(NamedTuple):
    """One column: its title, its cells, and what its total is."""

    name: str
    title: str
    cell: Callable[[LayerSummary, Summary], str]
    exact: Callable[[LayerSummary, Summary], Any]
    total: str | None = None
    """The figure that the column sums to."""
    numeric: bool = False
    formula_of: str | None = None
    """The column of the figures that these worked formulas lead to."""
    convention: str = ""
    """First words of the convention that explains the column, if not every table needs it."""


def share_of(row: LayerSummary, summary: Summary) -> float:
    """The part of the multiply-adds that a row has, from 0 to 1."""
    total = summary.totals.multiply_adds
    return (row.multiply_adds or 0) / total if total else 0.0


def _share(row: LayerSummary, summary: Summary) -> str:
    if not row.multiply_adds:
        return ""
    share = share_of(row, summary)
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def _inputs(row: LayerSummary) -> str:
    """`1×28×28`; the shapes of a join one after the other, `16 of 1×10×10` where they repeat."""
    parts = []
    for shape, run in groupby(row.input_shapes):
        count = len([*run])
        text = write_shape(shape)
        parts += [text] * count if count < 3 else [f"{count} of {text}"]
    return ", ".join(parts)


def _input_layer(row: LayerSummary, _: Summary) -> str:
    return f"{_inputs(row)} · {printable(row.layer)}"


def _text(name: str) -> Column:
    def exact(row: LayerSummary, _: Summary) -> str:
        return str(getattr(row, name))

    def cell(row: LayerSummary, summary: Summary) -> str:
        return printable(exact(row, summary))

    return Column(name, name, cell, exact)


def _number(figure: Figure) -> Column:
    """A column of a figure; a dash where it is unknown."""
    name = figure.name

    def cell(row: LayerSummary, _: Summary) -> str:
        value = row.figures[name]
        return "–" if value is None else write_figure(name, value)

    def exact(row: LayerSummary, _: Summary) -> Any:
        return row.figures[name]

    return Column(
        name, figure.title, cell, exact, name, numeric=True, convention=_convention_of(figure)
    )


def _axes(name: str, title: str, part: str) -> Column:
    """A column of one part of the receptive field, for each axis."""

    def cell(row: LayerSummary, _: Summary) -> str:
        return write_axes(getattr(row.receptive_field, part))

    def exact(row: LayerSummary, _: Summary) -> str:
        return times(getattr(row.receptive_field, part))

    return Column(name, title, cell, exact, convention="receptive field")


def _formula(figure: Figure) -> Column:
    """A column of worked formulas with their results: `32·(5²·1 + 1) = 832`."""
    name = figure.name

    def exact(row: LayerSummary, _: Summary | None = None) -> str:
        formula = row.formulas.figures.get(name)
        return "" if formula is None else formula.text

    def cell(row: LayerSummary, _: Summary) -> str:
        value = row.figures[name]
        return worked(exact(row), "–" if value is None else write_figure(name, value))

    return Column(
        f"{name}_formula",
        figure.formula,
        cell,
        exact,
        total=name,
        formula_of=name,
        convention=_convention_of(figure),
    )


def _convention_of(figure: Figure) -> str:
    return figure.title if figure.convention else ""


_BESIDE = {"multiply_adds": Column("share", "share", _share, share_of, numeric=True)}
"""What else is made of a figure."""


def _of_figures(*, in_bytes: bool) -> Iterator[Column]:
    """The columns of each figure, with what is made of it beside it."""
    for figure in FIGURES.values():
        if figure.in_bytes is in_bytes:
            yield _number(figure)
            if figure.name in _BESIDE:
                yield _BESIDE[figure.name]
            if figure.formula:
                yield _formula(figure)


COLUMNS = (
    _text("name"),
    _text("kind"),
    _text("layer"),
    Column("input_layer", "input / layer", _input_layer, _input_layer),
    Column(
        "inputs",
        "inputs",
        lambda row, _: ", ".join(row.inputs),
        lambda row, _: " ".join(row.inputs),
    ),
    Column(
        "input_shape",
        "input",
        lambda row, _: _inputs(row),
        lambda row, _: " ".join(map(times, row.input_shapes)),
    ),
    Column(
        "output_shape",
        "output",
        lambda row, _: write_shape(row.output_shape),
        lambda row, _: times(row.output_shape),
    ),
    Column(
        "output_formula",
        "output",
        lambda row, _: worked(
            shape_formula(row.formulas.output_shape), write_shape(row.output_shape)
        ),
        lambda row, _: shape_formula(row.formulas.output_shape),
        formula_of="output_shape",
    ),
    Column(
        "weight_shapes",
        "weight size",
        lambda row, _: write_shapes(row.weights.values()) or "–",
        lambda row, _: " ".join(map(times, row.weights.values())),
    ),
    *_of_figures(in_bytes=False),
    _axes("receptive_field", "receptive field", "size"),
    Column(
        "receptive_field_formula",
        "receptive field",
        lambda row, _: worked(
            field_formula(row.formulas.receptive_field), write_axes(row.receptive_field.size)
        ),
        lambda row, _: field_formula(row.formulas.receptive_field),
        formula_of="receptive_field",
        convention="receptive field",
    ),
    _axes("jump", "jump", "jump"),
    _axes("start", "start", "start"),
    *_of_figures(in_bytes=True),
)

_BY_NAME = {column.name: column for column in COLUMNS}
_FORMULAS = {column.formula_of: column.name for column in COLUMNS if column.formula_of}
_ALIASES = {"input": "input_shape", "output": "output_shape", "products": "multiply_adds"}

DEFAULT = "default"
PRESETS: dict[str, tuple[str, ...]] = {
    DEFAULT: (
        "name",
        "layer",
        "output_shape",
        "parameters",
        "multiply_adds",
        "share",
        "receptive_field",
    ),
    "lecture": ("input_layer", "output_shape", "parameters_formula", "multiply_adds_formula"),
    "weights": ("layer", "output_shape", "weight_shapes"),
    "full": tuple(
        column.name
        for column in COLUMNS
        if not column.formula_of and column.name not in ("input_layer", "weight_shapes", "inputs")
    ),
}

NARROWER = (
    ("share",),
    ("share", "receptive_field"),
    ("layer",),
    ("layer", "share"),
    ("layer", "share", "receptive_field"),
)
"""What a narrow terminal or page does without: the first of these that makes the rest fit."""
NARROWER_FORMULAS = (("layer",),)


def choose(names: str | Iterable[str] | None, *, formulas: bool = False) -> tuple[Column, ...]:
    """The columns of a preset or of a list of names; `formulas` replaces figures by derivations.

    Raises:
        UsageError: there is no such column, or none is named.
    """
    names = DEFAULT if names is None else names
    asked = names.split(",") if isinstance(names, str) else names
    wanted: list[str] = []
    for part in filter(None, map(str.strip, asked)):
        name = _ALIASES.get(part, part)
        wanted += PRESETS.get(name, (name,))
    for name in wanted:
        if name not in _BY_NAME:
            hint = did_you_mean(name, [*PRESETS, *_BY_NAME, *_ALIASES])
            known = f"there are {', '.join([*PRESETS, *_BY_NAME])}"
            raise UsageError(f"unknown column {name!r}; {hint or known}")
    if not wanted:
        raise UsageError(f"no columns are named; there are {', '.join([*PRESETS, *_BY_NAME])}")
    if formulas:
        wanted = [_FORMULAS.get(name, name) for name in wanted if name != "share"]
    return tuple(_BY_NAME[name] for name in dict.fromkeys(wanted))


def with_figures(columns: Iterable[Column]) -> tuple[Column, ...]:
    """For machines, one figure a column: that of each formula before it, input and layer apart."""
    names: list[str] = []
    for column in columns:
        if column.name == "input_layer":
            names += ("input_shape", "layer")
        else:
            names += (column.formula_of or column.name, column.name)
    return tuple(_BY_NAME[name] for name in dict.fromkeys(names))
