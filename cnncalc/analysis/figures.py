"""The figures of a layer that add up, each declared once.

A row, the totals, folding, formulas, columns, notes, JSON, CSV and what a list is sorted by follow
from `Figures`. What a figure counts is stated here, and printed under every table that shows it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple, overload

from cnncalc.maths.formula import ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol, Self, TypeVar

    from cnncalc.layers.base import Layer, Shape
    from cnncalc.maths.formula import Expr

    T_co = TypeVar("T_co", covariant=True)

    class Holder(Protocol[T_co]):
        """What has figures by name: a row, the totals, the formulas of a row."""

        @property
        def figures(self) -> Mapping[str, T_co]: ...


class Counted(NamedTuple):
    """What a figure is read off: a layer at its shapes, which are of one sample."""

    layer: Layer
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    owned: Expr
    """Numbers in its weights; none where another layer owns them."""
    frozen: bool
    number_bytes: int
    batch_size: int

    def of_batch(self, figure: Expr | None) -> Expr | None:
        """A figure of one sample, for all of the batch."""
        if self.batch_size == 1 or figure is None or not figure.value:
            return figure
        return self.batch_size * figure


FIGURES: dict[str, Figure] = {}
"""Every figure by its name, in the order of their declarations."""


class Figure:
    """One figure: an attribute of rows (None: unknown), totals (their sum) and formulas.

    `of` reads it off a layer: a number, with its formula if it is an `Expr`; None where there is
    no rule. `formula` heads the column of formulas, if there is one.
    """

    name: str

    def __init__(
        self,
        title: str,
        of: Callable[[Counted], Expr | int | None],
        *,
        formula: str = "",
        convention: str = "",
        always_explained: bool = False,
        in_bytes: bool = False,
        needs_layer: bool = True,
        of_weights: bool = False,
    ) -> None:
        self.title = title
        self.of = of
        self.formula = formula
        self.convention = convention
        """What is counted: printed below a table that has the column."""
        self.always_explained = always_explained
        self.in_bytes = in_bytes
        self.needs_layer = needs_layer
        """Whether it is unknown of an operation that has no layer."""
        self.of_weights = of_weights
        """Whether a learnable weight that was left out would add to it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        FIGURES[name] = self

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: Holder[T_co], owner: type) -> T_co: ...

    def __get__(self, holder: Holder[T_co] | None, owner: type) -> Self | T_co | None:
        return self if holder is None else holder.figures.get(self.name)


class Figures:
    """The figures, in the order of the columns: those in bytes stand last."""

    __slots__ = ()

    parameters = Figure(
        "parameters",
        lambda counted: ZERO if counted.frozen else counted.owned,
        formula="# parameters",
        convention="learnable numbers; frozen ones and buffers (running statistics) apart",
        always_explained=True,
        of_weights=True,
    )
    frozen_parameters = Figure("frozen", lambda counted: counted.owned if counted.frozen else ZERO)
    buffers = Figure(
        "buffers",
        lambda counted: sum(map(prod, counted.layer.buffers(*counted.input_shapes).values())),
    )
    multiply_adds = Figure(
        "multiply-adds",
        lambda counted: counted.of_batch(counted.layer.multiply_adds(*counted.input_shapes)),
        formula="# products",
        convention="of convolutions and linear layers, biases not counted",
        always_explained=True,
    )
    flops = Figure(
        "flops",
        lambda counted: counted.of_batch(counted.layer.flops(*counted.input_shapes)),
        formula="flops",
        convention="2 per multiply-add; 1 per output for bias, activation and further operand of a"
        " join, 2 for normalisation, the window's size for pooling",
    )
    weight_bytes = Figure(
        "weight bytes",
        lambda counted: counted.owned.value * counted.number_bytes,
        in_bytes=True,
        of_weights=True,
    )
    activation_bytes = Figure(
        "activation bytes",
        lambda counted: prod(counted.output_shape) * counted.number_bytes * counted.batch_size,
        in_bytes=True,
        needs_layer=False,
    )
