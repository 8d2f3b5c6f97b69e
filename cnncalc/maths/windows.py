"""The geometry of sliding windows: output sizes, and how one axis of an output sees its input.

A *reach* says which units of an input axis an output unit sees. `Window` serves convolutions,
pools, padding and cropping; `Transposed` their transposes; `Listed` anything stated unit by
unit; `SAME` unit for unit; `WHOLE` everything. `cnncalc.maths.receptive_fields` turns reaches into
receptive fields in input pixels.

Sizes follow Dumoulin & Visin, "A guide to convolution arithmetic" (2016), with PyTorch's rules
in the corners. Axes are counted in units, windows in units of the axis they slide over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd
from typing import TYPE_CHECKING

from cnncalc.maths.formula import Expr, ceil_divide, expr, floor_divide, sym

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Window:
    """A window of `kernel` units, `dilation` apart, moved by `stride` over one padded axis.

    `before` and `after` are the units of padding; negative ones cut. With `same` the output
    has ⌈n/stride⌉ units and the ring is split evenly, an odd one after (TensorFlow's rule).
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil_mode: bool = False
    same: bool = False

    @classmethod
    def of_same(cls, size: int, kernel: int, stride: int, dilation: int) -> Window:
        """The window of `padding: same` over an axis of `size` units."""
        extent = dilation * (kernel - 1) + 1
        ring = max((-(-size // stride) - 1) * stride + extent - size, 0)
        return cls(kernel, stride, ring // 2, ring - ring // 2, dilation, same=True)

    @cached_property
    def extent(self) -> int:
        """Units from the first to the last that the window touches."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> Expr:
        """Number of places for the window on an axis of `size` units; may be below 1."""
        return _places(self, size)


@lru_cache(maxsize=4096)
def _places(window: Window, size: int) -> Expr:
    """`⌊(n + 2p − k)/s⌋ + 1`; a network asks for the same few again and again."""
    n, stride = sym("n", size), sym("s", window.stride)
    if window.same:
        return ceil_divide(n, stride)
    span = _padded(window, n) - _extent_formula(window)
    if not window.ceil_mode:
        return floor_divide(span, stride) + 1
    places = ceil_divide(span, stride) + 1
    if (places.value - 1) * window.stride >= size + window.before:
        return places - 1  # PyTorch: a last window that starts in the padding is dropped
    return places


def _padded(window: Window, n: Expr) -> Expr:
    if window.before == window.after:
        return n + 2 * sym("p", window.before)
    return n + sym("p₀", window.before) + sym("p₁", window.after)


def _extent_formula(window: Window) -> Expr:
    kernel = sym("k", window.kernel)
    if window.dilation == 1:
        return kernel
    return sym("d", window.dilation) * (kernel - 1) + 1


@dataclass(frozen=True)
class Transposed:
    """The transpose of a `Window`: output unit o takes from input i where o = i·s − p + d·j."""

    kernel: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1

    def output_size(self, size: int) -> Expr:
        """`(n − 1)·s − 2·p + d·(k − 1) + output_padding + 1`; may be below 1."""
        kernel = sym("k", self.kernel) - 1
        spread = sym("d", self.dilation) * kernel if self.dilation != 1 else kernel
        places = (sym("n", size) - 1) * sym("s", self.stride)
        return (
            places - 2 * sym("p", self.padding) + spread + sym("a", self.output_padding) + expr(1)
        )

    @cached_property
    def step(self) -> int:
        """Distance between the input units that an output unit takes from."""
        return self.dilation // gcd(self.dilation, self.stride)

    def seen_by(self, unit: int, size: int) -> tuple[int, int] | None:
        """First and last input unit that output `unit` takes from; None where it takes none."""
        common = gcd(self.dilation, self.stride)
        offset = unit + self.padding
        if offset % common:
            return None
        period, step = self.stride // common, self.step
        first = offset // common * pow(step, -1, period) % period
        if first >= self.kernel:
            return None
        last = first + (self.kernel - 1 - first) // period * period
        high = (offset - self.dilation * first) // self.stride
        low = (offset - self.dilation * last) // self.stride
        if high >= size:
            high -= -(-(high - size + 1) // step) * step
        if low < 0:
            low += -(low // step) * step
        return (low, high) if low <= high else None


@dataclass(frozen=True)
class Listed:
    """`seen_by(o)`: first and last input unit that output unit o sees."""

    seen_by: Callable[[int], tuple[int, int]]


@dataclass(frozen=True)
class Same:
    """Output unit o sees input unit o; on `axis` of the output if that is another one."""

    axis: int | None = None


@dataclass(frozen=True)
class Whole:
    """Every output unit sees the whole axis."""


SAME = Same()
WHOLE = Whole()
Reach = Window | Transposed | Listed | Same | Whole


def grouped(inputs: int, outputs: int, groups: int) -> Reach:
    """How output channels see input channels, where each group of them sees its own."""
    inner, outer = inputs // groups, outputs // groups
    if groups == 1:
        return WHOLE
    if inner == outer == 1:
        return SAME
    return Listed(lambda unit: (unit // outer * inner, (unit // outer + 1) * inner - 1))
