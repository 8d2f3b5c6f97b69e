"""A verification as a table: what differs shows the claim and the measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from cnncalc.render.figures import group
from cnncalc.render.layout import laid_out, printed
from cnncalc.wording import printable, write_axes, write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from cnncalc.verification.result import Check, LayerChecks, Value, Verification

COLUMNS = ("output", "parameters", "multiply-adds", "receptive field", "activation bytes")
"""The properties that have a column; another is named in the verdict where it differs."""
NUMERIC = {"parameters", "multiply-adds", "activation bytes"}
AGREES, DIFFERS = "agrees", "differs"
COLORS = {AGREES: "green", DIFFERS: "bold red"}


def render(verification: Verification, *, width: int | None = None, color: bool = False) -> str:
    """The rows, the totals, what was checked, the verdict; without `width` nothing is wrapped."""
    title = printable(f"{verification.name} · input {write_shape(verification.input_shape)}")
    parts: list[RenderableType] = [Text(title, style="bold"), Text()]
    parts += [_layers(verification.layers, width), Text()]
    if verification.totals:
        parts += [_totals(verification.totals, width), Text()]
    parts += [Text(_indented(note), style="dim") for note in verification.notes]
    color_of_verdict = COLORS[AGREES if verification.ok else DIFFERS]
    parts.append(Text(printable(verification.verdict), style=color_of_verdict))
    return printed(parts, width=width, color=color)


def _layers(layers: Sequence[LayerChecks], width: int | None) -> Table:
    present = {check.name for layer in layers for check in layer.checks}
    shown = [name for name in COLUMNS if name in present]
    rows = []
    for layer in layers:
        checks = {check.name: check for check in layer.checks}
        cells = [_cell(checks.get(name)) for name in shown]
        rows.append([layer.name, *cells, _verdict(layer)])
    return _table(["name", *shown, "verdict"], rows, width)


def _totals(checks: Sequence[Check], width: int | None) -> Table:
    rows = [
        [
            check.name,
            write(check.claimed),
            "not measured" if check.measured is None else write(check.measured),
            AGREES if check.ok else DIFFERS,
        ]
        for check in checks
    ]
    return _table(["in all", "claimed", "measured", "verdict"], rows, width)


def _table(titles: list[str], rows: list[list[str]], width: int | None) -> Table:
    coloured: list[list[str | Text]] = [
        [*cells, Text(verdict, style=COLORS[verdict.partition(":")[0]])] for *cells, verdict in rows
    ]
    return laid_out(titles, coloured, right=NUMERIC, width=width)


def _cell(check: Check | None) -> str:
    """The claim; what was measured too where it is something else."""
    if check is None:
        return ""
    if check.measured is None:
        return f"{write(check.claimed)} (not measured)"
    if check.ok:
        return write(check.claimed)
    return f"{write(check.claimed)}, measured: {write(check.measured)}"


def _verdict(layer: LayerChecks) -> str:
    others = [check for check in layer.differences if check.name not in COLUMNS]
    if not others:
        return AGREES if layer.ok else DIFFERS
    return f"{DIFFERS}: {'; '.join(f'{check.name} {_cell(check)}' for check in others)}"


def write(value: Value) -> str:
    """A property as people read it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple):
        return write_axes(value)
    return group(value) if isinstance(value, int) else f"{value:,}"


def _indented(note: str) -> str:
    return f"{' ' * (len(note) - len(note.lstrip()))}{printable(note)}"
