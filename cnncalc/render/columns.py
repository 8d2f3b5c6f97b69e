"""The columns of every table: one list, read by each format.

A column says its cell twice: `cell` for people (`51,264`, `32×24×24`) and `exact` for machines
(`51264`, `32x24x24`). A new column is one row of `COLUMNS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncalc.errors import UsageError, did_you_mean
from cnncalc.layers.base import write_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cnncalc.analysis import LayerSummary, Summary
    from cnncalc.formula import Expr


@dataclass(frozen=True)
class Column:
    """One column: its title, its cells, and the cell of the totals."""

    name: str
    title: str
    cell: Callable[[LayerSummary, Summary], str]
    exact: Callable[[LayerSummary], Any]
    total: str | None = None
    """The field of `Totals` that the column sums to."""
    numeric: bool = False
    worked: bool = False
    """The cells are formulas, which LaTeX sets as mathematics."""


def group(value: int) -> str:
    """`460,800`."""
    return f"{value:,}"


def scale(value: int, unit: str = "") -> str:
    """`138.4 M`; numbers below a million are grouped. Bytes: `97.7 MiB`."""
    if unit == "B":
        for prefix, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
            if value >= 1 << power:
                return f"{value / (1 << power):,.1f} {prefix}"
        return f"{value} B"
    for prefix, size in (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if value >= size:
            return f"{value / size:,.1f} {prefix}"
    return group(value)


def write_axes(values: Sequence[int | None]) -> str:
    """Sizes of a receptive field: `7×7`; a dash where there is none."""
    if not values or all(value is None for value in values):
        return "–"
    return "×".join("–" if value is None else str(value) for value in values)


def bar(share: float, width: int = 8) -> str:
    """A share of 1 as a bar of eighths of a character."""
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def shape_formula(shape: Iterable[Expr]) -> str:
    """`32 × (⌊(28 + 2·0 − 5)/1⌋ + 1) × …`: each length as it was worked out."""
    texts = (size.text for size in shape)
    return " × ".join(f"({text})" if " " in text else text for text in texts)


def field_formula(fields: Sequence[Expr] | None) -> str:
    """`5 + (3 − 1)·1 × …`, one for each axis; empty where there is none."""
    return " × ".join(f"({field.text})" for field in fields) if fields else ""


def _worked(text: str, result: str) -> str:
    return result if text in ("", result, "0") else f"{text} = {result}"


def _share(row: LayerSummary, summary: Summary) -> str:
    total = summary.totals.multiply_adds
    share = row.multiply_adds / total if total else 0.0
    return f"{share:6.1%} {bar(share)}".rstrip() if row.multiply_adds else ""


def _weights(row: LayerSummary) -> str:
    return ", ".join(write_shape(shape) for shape in row.weights.values())


def _inputs(row: LayerSummary) -> str:
    return ", ".join(write_shape(shape) for shape in row.input_shapes)


def _plain(shape: Sequence[int | None]) -> str:
    return "x".join("" if size is None else str(size) for size in shape)


def _number(name: str, title: str, *, total: bool = True) -> Column:
    """A column of a row's integer field, grouped for people; a dash where it is unknown."""

    def cell(row: LayerSummary, summary: Summary) -> str:
        value = getattr(row, name)
        return "–" if value is None else group(value)

    def exact(row: LayerSummary) -> Any:
        return getattr(row, name)

    return Column(name, title, cell, exact, total=name if total else None, numeric=True)


def _bytes(name: str, title: str) -> Column:
    def cell(row: LayerSummary, summary: Summary) -> str:
        return scale(getattr(row, name), "B")

    return Column(name, title, cell, lambda row: getattr(row, name), total=name, numeric=True)


def _axes(name: str, title: str, part: str) -> Column:
    def cell(row: LayerSummary, summary: Summary) -> str:
        return write_axes(getattr(row.receptive_field, part))

    return Column(name, title, cell, lambda row: _plain(getattr(row.receptive_field, part)))


def _formula(name: str, title: str, figure: str) -> Column:
    """A column of worked formulas with their results: `32·(5²·1 + 1) = 832`."""

    def text(row: LayerSummary) -> str:
        formula = getattr(row.formulas, figure)
        return "" if formula is None else formula.text

    def cell(row: LayerSummary, summary: Summary) -> str:
        value = getattr(row, figure)
        return _worked(text(row), "–" if value is None else group(value))

    return Column(name, title, cell, text, total=figure, worked=True)


COLUMNS = (
    Column("name", "name", lambda row, _: row.name, lambda row: row.name),
    Column("kind", "kind", lambda row, _: row.kind, lambda row: row.kind),
    Column("layer", "layer", lambda row, _: row.layer, lambda row: row.layer),
    Column(
        "input_layer",
        "input / layer",
        lambda row, _: f"{_inputs(row)} · {row.layer}",
        lambda row: f"{_inputs(row)} · {row.layer}",
    ),
    Column(
        "inputs", "inputs", lambda row, _: ", ".join(row.inputs), lambda row: " ".join(row.inputs)
    ),
    Column(
        "input_shape",
        "input",
        lambda row, _: _inputs(row),
        lambda row: " ".join(map(_plain, row.input_shapes)),
    ),
    Column(
        "output_shape",
        "output",
        lambda row, _: write_shape(row.output_shape),
        lambda row: _plain(row.output_shape),
    ),
    Column(
        "output_formula",
        "output",
        lambda row, _: _worked(
            shape_formula(row.formulas.output_shape), write_shape(row.output_shape)
        ),
        lambda row: shape_formula(row.formulas.output_shape),
        worked=True,
    ),
    Column("weights", "weight size", lambda row, _: _weights(row) or "–", _weights),
    _number("parameters", "parameters"),
    _formula("parameters_formula", "# parameters", "parameters"),
    _number("frozen_parameters", "frozen"),
    _number("buffers", "buffers"),
    _number("multiply_adds", "multiply-adds"),
    Column("share", "share", _share, lambda row: None),
    _formula("multiply_adds_formula", "# products", "multiply_adds"),
    _number("flops", "flops"),
    _formula("flops_formula", "flops", "flops"),
    _axes("receptive_field", "receptive field", "size"),
    Column(
        "receptive_field_formula",
        "receptive field",
        lambda row, _: _worked(
            field_formula(row.formulas.receptive_field), write_axes(row.receptive_field.size)
        ),
        lambda row: field_formula(row.formulas.receptive_field),
        worked=True,
    ),
    _axes("jump", "jump", "jump"),
    _axes("start", "start", "start"),
    _bytes("weight_bytes", "weights"),
    _bytes("activation_bytes", "activations"),
)

_BY_NAME = {column.name: column for column in COLUMNS}
_FORMULA_OF = {
    "output_shape": "output_formula",
    "parameters": "parameters_formula",
    "multiply_adds": "multiply_adds_formula",
    "flops": "flops_formula",
    "receptive_field": "receptive_field_formula",
}
_ALIASES = {"input": "input_shape", "output": "output_shape", "products": "multiply_adds"}

PRESETS: dict[str, tuple[str, ...]] = {
    "default": (
        "name",
        "layer",
        "output_shape",
        "parameters",
        "multiply_adds",
        "share",
        "receptive_field",
    ),
    "lecture": ("input_layer", "output_shape", "parameters_formula", "multiply_adds_formula"),
    "weights": ("layer", "output_shape", "weights"),
    "full": tuple(
        column.name
        for column in COLUMNS
        if not column.worked and column.name not in ("input_layer", "weights", "inputs")
    ),
}
EXACT = tuple(column.name for column in COLUMNS if column.name not in ("input_layer", "share"))
"""The columns of a CSV file unless others are asked for: everything."""
DROPPED_FIRST = ("share", "layer", "receptive_field", "multiply_adds")
"""The default columns that a narrow terminal does without, in this order."""


def choose(names: str | Iterable[str] | None, *, formulas: bool = False) -> tuple[Column, ...]:
    """The columns of a preset or of a list of names; `formulas` replaces figures by derivations.

    Raises:
        UsageError: there is no such column.
    """
    asked = names.split(",") if isinstance(names, str) else [*(names or ("default",))]
    wanted: list[str] = []
    for part in asked:
        name = _ALIASES.get(part.strip(), part.strip())
        wanted += PRESETS.get(name, (name,))
    for name in wanted:
        if name not in _BY_NAME:
            known = [*PRESETS, *_BY_NAME, *_ALIASES]
            hint = did_you_mean(name, known) or f"columns: {', '.join([*PRESETS, *_BY_NAME])}"
            raise UsageError(f"unknown column {name!r}; {hint}")
    if formulas:
        wanted = [_FORMULA_OF.get(name, name) for name in wanted if name != "share"]
    return tuple(_BY_NAME[name] for name in dict.fromkeys(wanted))


@dataclass(frozen=True)
class Cells:
    """A table as text: what the formats for people lay out."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    total: list[str]
    title: str
    notes: list[str]


def tabulate(summary: Summary, columns: tuple[Column, ...]) -> Cells:
    """The cells of `columns`, the row of totals and the notes under the table."""
    rows = [[column.cell(row, summary) for column in columns] for row in summary.layers]
    total = [_total(column, summary) for column in columns]
    if not total[0]:
        total[0] = "total"
    return Cells(columns, rows, total, title(summary), notes(summary))


def title(summary: Summary) -> str:
    """The network, its input and its source in one line."""
    source = f" · {summary.source}" if summary.source else ""
    return f"{summary.name} · input {write_shape(summary.input_shape)}{source}"


def notes(summary: Summary) -> list[str]:
    """The conventions, the totals for people, and what is not counted."""
    from cnncalc.analysis import CONVENTIONS

    totals = summary.totals
    size = f"{scale(totals.parameters)} parameters"
    if totals.frozen_parameters:
        size += f" and {scale(totals.frozen_parameters)} frozen"
    batch = f" for a batch of {summary.batch_size}" if summary.batch_size > 1 else ""
    lines = [
        f"{size}, {scale(totals.multiply_adds)} multiply-adds{batch}; {summary.dtype}:"
        f" weights {scale(totals.weight_bytes, 'B')},"
        f" activations {scale(totals.activation_bytes, 'B')}"
    ]
    if totals.uncounted:
        lines.append(f"flops of {', '.join(totals.uncounted)} are not counted")
    if any(None in row.receptive_field.size for row in summary.layers):
        lines.append("a dash for a receptive field: too many units to follow one by one")
    return [*lines, *CONVENTIONS]


def _total(column: Column, summary: Summary) -> str:
    if column.total is None:
        return ""
    value = getattr(summary.totals, column.total)
    return scale(value, "B") if column.total.endswith("_bytes") else group(value)
