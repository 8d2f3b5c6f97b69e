"""Layers that enlarge, shrink or reorder the spatial axes and compute little or nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Rearrangement, Shape
from cnncalc.layers.types import Positive, PositiveInt, RingPerAxis, spread, spread_ring
from cnncalc.layers.windows import Windowed, check_padding_mode
from cnncalc.maths.formula import ZERO, Expr, expr, floor_divide, sym
from cnncalc.maths.windows import SAME, WHOLE, Listed, Reach, Window
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Ring(Windowed, Rearrangement):
    """Adds or cuts units around each spatial axis: a window of one unit with padding."""

    flops_per_output: ClassVar[int | None] = 0


class Pad(_Ring):
    """A ring of `padding` units: (C, *sizes) -> (C, *(n + before + after)).

    `mode` zeros, constant (`value`), reflect, replicate (L0's "values at the edges"), circular.
    """

    kind = "pad"
    main = "padding"
    padding: RingPerAxis
    mode: Literal["zeros", "constant", "reflect", "replicate", "circular"] = "zeros"
    value: float = 0.0

    def window(self, x: Shape) -> tuple[Window, ...]:
        rings = spread_ring("padding", self.padding, len(x) - 1)
        return tuple(Window(1, 1, before, after) for before, after in rings)

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        if self.value and self.mode != "constant":
            raise ShapeError(f"value is for mode constant; the mode is {self.mode}")
        check_padding_mode(self.mode, x[1:], self.window(x))
        return super().output_shape(x)

    def build(self, nn: Any, x: Shape) -> Any:
        rings = spread_ring("padding", self.padding, len(x) - 1)
        padding: Any = tuple(units for ring in reversed(rings) for units in ring)
        padding = padding[0] if len({*padding}) == 1 else padding
        axes = f"{len(x) - 1}d"
        if self.mode == "constant":
            return getattr(nn, f"ConstantPad{axes}")(padding, self.value)
        names = {"zeros": "ZeroPad", "reflect": "ReflectionPad", "replicate": "ReplicationPad"}
        return getattr(nn, names.get(self.mode, "CircularPad") + axes)(padding)


class Crop(_Ring):
    """Cuts `cropping` units from every side: (C, *sizes) -> (C, *(n − before − after))."""

    kind = "crop"
    main = "cropping"
    cropping: RingPerAxis

    def window(self, x: Shape) -> tuple[Window, ...]:
        rings = spread_ring("cropping", self.cropping, len(x) - 1)
        return tuple(Window(1, 1, -before, -after) for before, after in rings)

    def _too_large(self, x: Shape, windows: tuple[Window, ...]) -> str:
        return f"nothing would be left of {write_shape(x)}"

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Crop(spread_ring("cropping", self.cropping, len(x) - 1))


class Upsample(Layer):
    """Enlarges each spatial axis to ⌊n·scale_factor⌋, or to `size`, by nearest or (bi, tri)linear.

    Nearest only copies; what the linear modes compute has no rule, so their flops are unknown.
    """

    kind = "upsample"
    main = "scale_factor"
    scale_factor: (
        Positive | Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)] | None
    ) = None
    size: (
        PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=3)] | None
    ) = None
    mode: Literal["nearest", "linear", "bilinear", "trilinear"] = "nearest"
    align_corners: bool | None = None

    _LINEAR: ClassVar[tuple[str, ...]] = ("linear", "bilinear", "trilinear")

    @property
    def interpolates(self) -> bool:
        return self.mode != "nearest"

    def _linear_mode(self, x: Shape) -> str:
        return self._LINEAR[len(x) - 2]

    def _factors(self, x: Shape) -> tuple[float, ...]:
        factors: Any = spread("scale_factor", self.scale_factor, len(x) - 1)  # type: ignore[arg-type]
        return tuple(map(float, factors))

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        if (self.size is None) == (self.scale_factor is None):
            raise ShapeError("takes either scale_factor or size")
        if self.align_corners is not None and self.mode == "nearest":
            raise ShapeError("align_corners is for the linear modes")
        if self.mode not in ("nearest", "linear", self._linear_mode(x)):
            raise ShapeError(
                f"mode {self.mode} is not for {len(x) - 1} spatial axes",
                hint=f"write linear, or {self._linear_mode(x)}",
            )
        if self.size is not None:
            return (x[0], *spread("size", self.size, len(x) - 1))
        for n, factor in zip(x[1:], self._factors(x), strict=True):
            if n * factor >= 2**53:
                raise ShapeError(f"scale_factor {factor:g} is too large for an axis of {n}")
        sizes = [_scaled(n, factor) for n, factor in zip(x[1:], self._factors(x), strict=True)]
        if min(map(int, sizes)) < 1:
            raise ShapeError(f"scale_factor leaves nothing of {write_shape(x)}")
        return (x[0], *sizes)

    def reach(self, x: Shape) -> Sequence[Reach]:
        y = tuple(int(size) for size in self.output_shape(x))
        reaches: list[Reach] = [SAME]
        for axis in range(1, len(x)):
            n, m = x[axis], y[axis]
            factor = Fraction(m, n) if self.size is not None else _ratio(self._factors(x)[axis - 1])
            aligned = bool(self.align_corners)
            reaches.append(_interpolation(n, m, factor, self.interpolates, aligned))
        return tuple(reaches)

    def flops(self, x: Shape) -> Expr | None:
        return None if self.interpolates else ZERO

    def build(self, nn: Any, x: Shape) -> Any:
        options = self.non_default("size", "scale_factor")
        if self.mode != "nearest":
            options["mode"] = self._linear_mode(x) if self.mode == "linear" else self.mode
        return nn.Upsample(**options, **self.non_default("align_corners"))


class PixelShuffle(Rearrangement):
    """Channels into pixels: (C·r², H, W) -> (C, H·r, W·r). Shi et al. 2016."""

    kind = "pixel_shuffle"
    upscale_factor: PositiveInt

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        factor = self.upscale_factor
        if len(x) != 3:
            raise ShapeError(f"needs an input of [C, H, W]; received {write_shape(x)}")
        if x[0] % factor**2:
            raise ShapeError(f"its {x[0]} channels cannot be divided by {factor}²")
        sizes = (sym("n", n) * sym("r", factor) for n in x[1:])
        return (sym("C", x[0]) / sym("r", factor) ** 2, *sizes)

    def reach(self, x: Shape) -> Sequence[Reach]:
        factor = self.upscale_factor
        copied = Listed(lambda unit: (unit // factor, unit // factor)) if factor > 1 else SAME
        return (WHOLE, *(copied for _ in x[1:]))

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.PixelShuffle(self.upscale_factor)


def _ratio(factor: float) -> Fraction:
    """The simplest fraction that a factor stands for: 2/3, not the nearest float's."""
    simple = Fraction(factor).limit_denominator(1000)
    return simple if float(simple) == factor else Fraction(factor)


def _scaled(size: int, factor: float) -> Expr:
    """`⌊n·factor⌋` as PyTorch's floats round it, written with a fraction where it is not whole."""
    value = int(size * factor)
    for ratio in (_ratio(factor), Fraction(factor)):
        enlarged = sym("n", size) * sym("scale", ratio.numerator)
        formula = enlarged if ratio.denominator == 1 else floor_divide(enlarged, ratio.denominator)
        if formula.value == value:
            return formula
    return expr(value)


def _interpolation(n: int, m: int, factor: Fraction, linear: bool, align_corners: bool) -> Reach:
    """How m interpolated units see n: nearest sees one, linear the one or two around a point."""
    if n == m:
        return SAME  # PyTorch copies, whatever the factor
    if n == 1:
        return WHOLE
    p, q = factor.numerator, factor.denominator
    if not linear:
        if m == 2 * n:
            p, q = 2, 1  # and doubles, whatever the factor
        return Listed(lambda unit: (min(unit * q // p, n - 1),) * 2)
    if align_corners:
        return Listed(lambda unit: _neighbours(unit * (n - 1), max(m - 1, 1), n))
    # The middle of a unit, (unit + 1/2)·q/p − 1/2, as a fraction: whole numbers are faster.
    return Listed(lambda unit: _neighbours((2 * unit + 1) * q - p, 2 * p, n))


def _neighbours(numerator: int, denominator: int, n: int) -> tuple[int, int]:
    """The units on both sides of a point of an axis of n, or the one that it falls on."""
    low, rest = divmod(numerator, denominator)
    if low < 0 or low >= n - 1:
        return (0, 0) if low < 0 else (n - 1, n - 1)
    return low, low if rest == 0 else low + 1
