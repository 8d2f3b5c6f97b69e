"""Layers that slide a window: what convolution, pooling and padding share."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Shape
from cnncalc.layers.types import spread
from cnncalc.maths.windows import SAME, Reach, Window
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncalc.maths.formula import Expr

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Windowed(Layer):
    """A layer that slides one window over each spatial axis: convolution, pooling, padding."""

    def window(self, x: Shape) -> tuple[Window, ...]:
        """The window on each spatial axis of `x`: all that such a layer says of geometry."""
        raise NotImplementedError

    def output_channels(self, x: Shape) -> Expr | int:
        """Channels of the output; as many as come in unless a class says otherwise."""
        return x[0]

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        windows = self.window(x)
        sizes = tuple(window.output_size(n) for window, n in zip(windows, x[1:], strict=True))
        if any(size.value < 1 for size in sizes):
            slides = any(window.kernel > 1 for window in windows)
            raise ShapeError(
                self._too_large(x, windows),
                hint="use a smaller window, more padding, or fewer strides above it"
                if slides
                else "",
            )
        return (self.output_channels(x), *sizes)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (SAME, *self.window(x))

    def _too_large(self, x: Shape, windows: tuple[Window, ...]) -> str:
        extents = write_shape(tuple(window.extent for window in windows))
        padded = tuple(n + w.before + w.after for n, w in zip(x[1:], windows, strict=True))
        with_padding = "" if padded == x[1:] else f", {write_shape(padded)} with its padding"
        return f"its window of {extents} is larger than its input of {write_shape(x)}{with_padding}"


def windows(layer: Any, sizes: Shape) -> tuple[Window, ...]:
    """The windows of a layer with kernel_size, stride, padding and perhaps more."""
    fields = vars(layer)
    return _windows(
        tuple(sizes),
        fields["kernel_size"],
        fields["stride"],
        fields["padding"],
        fields.get("dilation", 1),
        fields.get("ceil_mode", False),
    )


@lru_cache(maxsize=4096)
def _windows(
    sizes: Shape,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None,
    padding: int | tuple[int, ...] | str,
    dilation: int | tuple[int, ...],
    ceil_mode: bool,
) -> tuple[Window, ...]:
    axes = len(sizes)
    kernels = spread("kernel_size", kernel_size, axes)
    strides = kernels if stride is None else spread("stride", stride, axes)
    dilations = spread("dilation", dilation, axes)
    if padding == "same":
        return tuple(map(Window.of_same, sizes, kernels, strides, dilations))
    rings = spread("padding", 0 if isinstance(padding, str) else padding, axes)
    return tuple(
        Window(kernel, stride, ring, ring, dilation, ceil_mode)
        for kernel, stride, ring, dilation in zip(kernels, strides, rings, dilations, strict=True)
    )


def check_padding_mode(mode: str, sizes: Shape, rings: Sequence[Window]) -> None:
    """PyTorch's bounds: a reflected ring is below the axis, a circular one at most the axis."""
    widest = [max(ring.before, ring.after) for ring in rings]
    for size, ring in zip(sizes, widest, strict=True):
        if (mode == "reflect" and ring >= size) or (mode == "circular" and ring > size):
            raise ShapeError(f"{mode} padding of {ring} does not fit an axis of {size}")
