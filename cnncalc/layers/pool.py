"""Pooling: fixed functions of a window over each channel (L0, L2, L4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Shape, outputs_of
from cnncalc.layers.types import PerAxis, PositiveInt, WindowPadding, spread
from cnncalc.layers.windows import Windowed, windows
from cnncalc.maths.formula import Expr, product
from cnncalc.maths.windows import Window
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Pool(Windowed):
    """A pool slides a window over each channel; its stride defaults to its kernel size."""

    kernel_size: PerAxis
    stride: PerAxis | None = None
    padding: WindowPadding = 0
    ceil_mode: bool = False

    fields_also_called: ClassVar[Mapping[str, str]] = {"pool_size": "kernel_size"}
    torch_name: ClassVar[str]
    options: ClassVar[tuple[str, ...]]

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(self, x[1:])

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        if self.padding == "same" and self.ceil_mode:
            raise ShapeError("padding: same leaves nothing for ceil_mode to round")
        for window in self.window(x):
            if not window.same and window.before > window.kernel // 2:
                raise ShapeError(
                    f"its padding of {window.before} is over half its kernel of {window.kernel}"
                )
        return super().output_shape(x)

    def flops(self, x: Shape) -> Expr | None:
        kernel = product(spread("kernel_size", self.kernel_size, len(x) - 1), "k")
        return outputs_of(self.output_shape(x)) * kernel

    def build(self, nn: Any, x: Shape) -> Any:
        options = self.non_default("stride", "padding", *self.options)
        prefix = ""
        if options.get("padding") == "same":
            prefix = "Same"
            options.pop("padding")
        elif options.get("padding") == "valid":
            options.pop("padding")
        make = getattr(nn, f"{prefix}{self.torch_name}{len(x) - 1}d")
        return make(kernel_size=self.kernel_size, **options)


class MaxPool(_Pool):
    """The largest number in each window: (C, *sizes) -> (C, *sizes'). L0, L3."""

    kind = "max_pool"
    torch_name = "MaxPool"
    options = ("dilation", "ceil_mode")
    dilation: PerAxis = 1


class AvgPool(_Pool):
    """The mean of each window: (C, *sizes) -> (C, *sizes').

    `count_include_pad` counts the padding as zeros; `divisor_override` divides by another number.
    """

    kind = "avg_pool"
    torch_name = "AvgPool"
    options = ("ceil_mode", "count_include_pad", "divisor_override")
    count_include_pad: bool = True
    divisor_override: PositiveInt | None = None

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        if self.divisor_override is not None and len(x) == 2:
            raise ShapeError("divisor_override is for 2D and 3D inputs, as in PyTorch")
        shape = super().output_shape(x)
        kernels = spread("kernel_size", self.kernel_size, len(x) - 1)
        too_large = any(kernel > n for kernel, n in zip(kernels, x[1:], strict=True))
        if too_large and len(x) == 4 and self.padding != "same":
            raise ShapeError(
                f"its window of {write_shape(kernels)} is larger than its input of"
                f" {write_shape(x)}; PyTorch's AvgPool3d does not count the padding"
            )
        return shape
