"""What an analysis gives: a table of rows and their totals, which prints itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.figures import FIGURES, Figures
from cnncalc.maths.receptive_fields import even_formula
from cnncalc.spec.architecture import NOTHING_LEFT_OUT, LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnncalc.layers.base import Shape
    from cnncalc.maths.formula import Expr
    from cnncalc.maths.receptive_fields import Field
    from cnncalc.maths.windows import Reach
    from cnncalc.network.graph import ScopeOutput


class ReceptiveField(NamedTuple):
    """Of one output, for each spatial axis of the network's input, in pixels."""

    size: tuple[int | None, ...]
    """Pixels that the unit with the widest view sees; None: not followed."""
    jump: tuple[int | None, ...]
    """Distance between neighbouring units' views; None: uneven, or all see the same."""
    start: tuple[int | None, ...]
    """First pixel that unit 0 sees; negative in the padding."""


class _Formulas(NamedTuple):
    output_shape: tuple[Expr, ...]
    figures: dict[str, Expr | None]
    steps: tuple[tuple[Field, Reach], ...] = ()
    """For each spatial axis of the network's input, the field before and how the layer sees it."""


class Formulas(_Formulas, Figures):
    """Worked formulas; each evaluates to the figure of its name, and is None where that is."""

    __slots__ = ()

    @property
    def receptive_field(self) -> tuple[Expr, ...] | None:
        """One for each spatial axis, where a window slides over an even field; else None."""
        formulas = [even_formula(field, reach) for field, reach in self.steps]
        known = [formula for formula in formulas if formula is not None]
        return tuple(known) if known and len(known) == len(formulas) else None


class _Row(NamedTuple):
    name: str
    kind: str
    layer: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    weights: dict[str, Shape]
    figures: dict[str, int | None]
    """None: of an operation that has no layer, or of a kind without a rule."""
    receptive_field: ReceptiveField
    formulas: Formulas
    shares: str | None = None
    """The node whose weights this one uses; they are counted there."""


class LayerSummary(_Row, Figures):
    """One row: a layer, or a scope folded into one. Shapes are of one sample, sizes in bytes."""

    __slots__ = ()

    @property
    def is_unknown(self) -> bool:
        """Whether it is, or holds, an operation that has no layer."""
        return self.figures["parameters"] is None


@dataclass(frozen=True)
class Totals(Figures):
    """The sums of the rows; the receptive field is the output's."""

    figures: dict[str, Any]
    """None: of flops, where a kind has no rule."""
    receptive_field: ReceptiveField
    uncounted: tuple[str, ...] = ()
    """Kinds whose flops have no rule."""
    unknown: tuple[str, ...] = ()
    """`name (operation)` of what has no layer: it is in no sum."""
    left_out: LeftOut = NOTHING_LEFT_OUT
    """What an imported network has beside this."""
    at_least: frozenset[str] = frozenset()
    """Figures that are no less than this, as something was left out of them."""

    @property
    def complete(self) -> bool:
        """Whether the network has no parameter, multiply-add, output or branch beside these."""
        return not (self.at_least or self.unknown or self.left_out)


@dataclass(frozen=True, repr=False)
class Summary:
    """The table of a network: a row for each layer, in execution order, and their totals."""

    name: str
    source: str
    input_shape: Shape
    output_shape: Shape
    receptive_field: ReceptiveField
    layers: tuple[LayerSummary, ...]
    dtype: str = "float32"
    batch_size: int = 1
    scopes: dict[str, ScopeOutput] = dataclasses.field(default_factory=dict)
    left_out: LeftOut = NOTHING_LEFT_OUT
    """What the network that this was imported from has, and this has not."""

    @cached_property
    def totals(self) -> Totals:
        unknown = tuple(f"{row.name} ({row.layer})" for row in self.layers if row.is_unknown)
        known = [row for row in self.layers if not row.is_unknown]
        uncounted = dict.fromkeys(row.kind for row in known if None in row.figures.values())
        return Totals(
            {name: self._total(name, known) for name in FIGURES},
            receptive_field=self.receptive_field,
            uncounted=tuple(uncounted),
            unknown=unknown,
            left_out=self.left_out,
            at_least=frozenset(
                name
                for name, figure in FIGURES.items()
                if (unknown and figure.needs_layer)
                or (self.left_out.parameters and figure.of_weights)
                or self.left_out.outputs
                or self.left_out.branches
            ),
        )

    def _total(self, name: str, known: Iterable[LayerSummary]) -> int | None:
        """The sum of a figure; None where a kind of layer has no rule for it."""
        if any(row.figures[name] is None for row in known):
            return None
        return sum(row.figures[name] or 0 for row in self.layers)

    def render(
        self,
        format: str = "table",  # noqa: A002 - the option's own word
        *,
        columns: str | Iterable[str] | None = None,
        formulas: bool = False,
    ) -> str:
        """The table as text, in one of the formats of `cnncalc.render.FORMATS`.

        `columns` is a preset of `cnncalc.render.columns`, such as lecture, or names of columns;
        `formulas` shows derivations.

        Raises:
            UsageError: there is no such format or column.
        """
        from cnncalc.render import render

        return render(self, format, columns=columns, formulas=formulas)

    def __str__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return self.render("html")

    def __repr__(self) -> str:
        return f"<Summary of {self.name}: {len(self.layers)} layers>"
