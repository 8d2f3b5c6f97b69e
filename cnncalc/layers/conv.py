"""Convolutions: what L0, L2 and L4 count by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Shape, Weights, outputs_of
from cnncalc.layers.types import PaddingPerAxis, PerAxis, PositiveInt, WindowPadding, spread
from cnncalc.layers.windows import PaddingMode, Windowed, check_padding_mode, windows
from cnncalc.maths.formula import Expr, product, sym
from cnncalc.maths.windows import Reach, Transposed, Window, grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Convolution(Layer):
    """What a convolution and its transpose share: groups, weights and cost."""

    fields_also_called: ClassVar[Mapping[str, str]] = {"filters": "out_channels"}

    def _check_groups(self, in_channels: int, out_channels: int, groups: int) -> None:
        for name, channels in (("input", in_channels), ("output", out_channels)):
            if channels % groups:
                raise ShapeError(
                    f"its {channels} {name} channels cannot be divided into {groups} groups"
                )

    def flops(self, x: Shape) -> Expr | None:
        operations = 2 * self.multiply_adds(x)
        return (
            operations + outputs_of(self.output_shape(x))
            if "bias" in self.weights(x)
            else operations
        )


class _WindowedConvolution(Windowed, _Convolution):
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: WindowPadding = 0
    dilation: PerAxis = 1
    bias: bool = True
    padding_mode: PaddingMode = "zeros"

    def _channels_and_groups(self, x: Shape) -> tuple[int, int]:
        """Output channels and groups."""
        raise NotImplementedError

    def window(self, x: Shape) -> tuple[Window, ...]:
        return windows(self, x[1:])

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (grouped(x[0], *self._channels_and_groups(x)), *self.window(x))

    def output_channels(self, x: Shape) -> Expr | int:
        out, groups = self._channels_and_groups(x)
        self._check_groups(x[0], out, groups)
        return out

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        shape = super().output_shape(x)
        check_padding_mode(self.padding_mode, x[1:], self.window(x))
        return shape

    def weights(self, x: Shape) -> Weights:
        out, groups = self._channels_and_groups(x)
        kernel = spread("kernel_size", self.kernel_size, len(x) - 1)
        weights: Weights = {"weight": (sym("out", out), fan_in(x[0], groups), *kernel)}
        return {**weights, "bias": (out,)} if self.bias else weights

    def multiply_adds(self, x: Shape) -> Expr:
        out, groups = self._channels_and_groups(x)
        area = product((int(size) for size in self.output_shape(x)[1:]), "n_out")
        kernel = product(spread("kernel_size", self.kernel_size, len(x) - 1), "k")
        return sym("out", out) * area * kernel * fan_in(x[0], groups)

    def build(self, nn: Any, x: Shape) -> Any:
        out, groups = self._channels_and_groups(x)
        axes = len(x) - 1
        options = self.non_default("stride", "padding", "dilation")
        if groups != 1:
            options["groups"] = groups
        options |= self.non_default("bias", "padding_mode")
        strided = any(step != 1 for step in spread("stride", self.stride, axes))
        name = f"SameConv{axes}d" if self.padding == "same" and strided else f"Conv{axes}d"
        if name.startswith("Same"):
            options.pop("padding")
        return getattr(nn, name)(x[0], out, kernel_size=self.kernel_size, **options)


class Conv(_WindowedConvolution):
    """Convolution: (C, *sizes) -> (out_channels, *⌊(n + 2p − d(k − 1) − 1)/s + 1⌋). L0, L2, L4.

    `padding: same` gives ⌈n/stride⌉ units, the odd ring after (TensorFlow's rule).
    """

    kind = "conv"
    main = "out_channels"
    out_channels: PositiveInt
    groups: PositiveInt = 1

    def _channels_and_groups(self, x: Shape) -> tuple[int, int]:
        return self.out_channels, self.groups


class DepthwiseConv(_WindowedConvolution):
    """One filter, or `depth_multiplier` filters, for each channel: a conv with C groups."""

    kind = "depthwise_conv"
    main = "kernel_size"
    fields_also_called: ClassVar[Mapping[str, str]] = {}
    depth_multiplier: PositiveInt = 1

    def _channels_and_groups(self, x: Shape) -> tuple[int, int]:
        return x[0] * self.depth_multiplier, x[0]


class ConvTranspose(_Convolution):
    """Transposed convolution: (C, *sizes) -> (out_channels, *(n − 1)s − 2p + d(k − 1) + a + 1).

    Multiply-adds: input positions × kernel × in × out / groups, as FlopCounterMode counts.
    """

    kind = "conv_transpose"
    also_called = ("deconv",)
    main = "out_channels"
    out_channels: PositiveInt
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PaddingPerAxis = 0
    output_padding: PaddingPerAxis = 0
    groups: PositiveInt = 1
    bias: bool = True
    dilation: PerAxis = 1

    def _transposes(self, x: Shape) -> tuple[Transposed, ...]:
        names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
        axes = [spread(name, getattr(self, name), len(x) - 1) for name in names]
        return tuple(Transposed(*values) for values in zip(*axes, strict=True))

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        self._check_groups(x[0], self.out_channels, self.groups)
        transposes = self._transposes(x)
        for transposed in transposes:
            if transposed.output_padding >= max(transposed.stride, transposed.dilation):
                raise ShapeError("its output_padding must be below its stride or its dilation")
        sizes = tuple(t.output_size(n) for t, n in zip(transposes, x[1:], strict=True))
        if any(size.value < 1 for size in sizes):
            raise ShapeError("its padding takes more than there is: the output would be empty")
        return (self.out_channels, *sizes)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (grouped(x[0], self.out_channels, self.groups), *self._transposes(x))

    def weights(self, x: Shape) -> Weights:
        kernel = spread("kernel_size", self.kernel_size, len(x) - 1)
        out = fan_in(self.out_channels, self.groups, "out")
        weights: Weights = {"weight": (sym("in", x[0]), out, *kernel)}
        return {**weights, "bias": (sym("out", self.out_channels),)} if self.bias else weights

    def parameters(self, x: Shape) -> Expr:
        weights = self.weights(x)
        inputs, out, *kernel = weights["weight"]
        weight = product(kernel, "k") * inputs * out
        return weight + weights["bias"][0] if self.bias else weight

    def multiply_adds(self, x: Shape) -> Expr:
        area = product(x[1:], "n")
        kernel = product(spread("kernel_size", self.kernel_size, len(x) - 1), "k")
        return area * kernel * sym("in", x[0]) * fan_in(self.out_channels, self.groups, "out")

    def build(self, nn: Any, x: Shape) -> Any:
        options = self.non_default(
            "stride", "padding", "output_padding", "groups", "bias", "dilation"
        )
        make = getattr(nn, f"ConvTranspose{len(x) - 1}d")
        return make(x[0], self.out_channels, kernel_size=self.kernel_size, **options)


def fan_in(channels: int, groups: int, name: str = "in") -> Expr:
    """Channels that one filter sees: `in/groups`."""
    return sym(name, channels) / sym("groups", groups) if groups > 1 else sym(name, channels)
