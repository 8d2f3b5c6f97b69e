"""Pooling over as many bins as asked for, or over the whole of each channel."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.types import PositiveInt, spread
from cnncalc.maths.formula import Expr, product
from cnncalc.maths.windows import SAME, WHOLE, Listed, Reach, Window

if TYPE_CHECKING:
    from collections.abc import Sequence


class _AdaptivePool(Layer):
    """Bins that cover each axis: bin i is [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉) for n units in and m out."""

    output_size: (
        PositiveInt | Annotated[tuple[PositiveInt | None, ...], Field(min_length=1, max_length=3)]
    )

    torch_name: ClassVar[str]

    def _bins(self, x: Shape) -> tuple[int, ...]:
        sizes: Any = spread("output_size", self.output_size, len(x) - 1)  # type: ignore[arg-type]
        return tuple(n if size is None else size for size, n in zip(sizes, x[1:], strict=True))

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        return (x[0], *self._bins(x))

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (SAME, *(bins(n, m) for n, m in zip(x[1:], self._bins(x), strict=True)))

    def flops(self, x: Shape) -> Expr | None:
        covered = (_covered(n, m) for n, m in zip(x[1:], self._bins(x), strict=True))
        return product((x[0], *covered))

    def build(self, nn: Any, x: Shape) -> Any:
        size = self.output_size if len(x) > 2 else self._bins(x)[0]  # AdaptivePool1d: no None
        return getattr(nn, f"{self.torch_name}{len(x) - 1}d")(size)


class AdaptiveAvgPool(_AdaptivePool):
    """The mean of each bin: (C, *sizes) -> (C, *output_size)."""

    kind = "adaptive_avg_pool"
    torch_name = "AdaptiveAvgPool"


class AdaptiveMaxPool(_AdaptivePool):
    """The largest number of each bin: (C, *sizes) -> (C, *output_size)."""

    kind = "adaptive_max_pool"
    torch_name = "AdaptiveMaxPool"


class _GlobalPool(Layer):
    """One number for each channel; the axes stay, with length 1."""

    torch_name: ClassVar[str]

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        return (x[0], *(1 for _ in x[1:]))

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (SAME, *(WHOLE for _ in x[1:]))

    def flops(self, x: Shape) -> Expr | None:
        return product(x)

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, f"{self.torch_name}{len(x) - 1}d")(1)


class GlobalAvgPool(_GlobalPool):
    """The mean of each channel: (C, *sizes) -> (C, 1, …)."""

    kind = "global_avg_pool"
    also_called = ("gap", "globalaveragepooling2d")
    torch_name = "AdaptiveAvgPool"


class GlobalMaxPool(_GlobalPool):
    """The largest number of each channel: (C, *sizes) -> (C, 1, …)."""

    kind = "global_max_pool"
    torch_name = "AdaptiveMaxPool"


def bins(size: int, count: int) -> Reach:
    """How `count` bins see an axis of `size` units."""
    if count == size:
        return SAME
    if count == 1:
        return WHOLE
    if size % count == 0:
        return Window(size // count, size // count)
    return Listed(lambda unit: (unit * size // count, -(-(unit + 1) * size // count) - 1))


def _covered(size: int, count: int) -> int:
    """Units that all bins hold together: an edge that falls inside a unit counts it twice."""
    return size + count - gcd(size, count)
