"""Layers that choose, reorder or scale channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Rearrangement, Shape, Weights, outputs_of
from cnncalc.layers.types import PositiveInt
from cnncalc.maths.formula import Expr, sym
from cnncalc.maths.windows import SAME, Listed, Reach

if TYPE_CHECKING:
    from collections.abc import Sequence


class _ChannelChoice(Rearrangement):
    """Keeps some channels, or all in another order."""

    def source(self, channel: int, x: Shape) -> int:
        """The input channel that becomes output channel `channel`."""
        raise NotImplementedError

    def reach(self, x: Shape) -> Sequence[Reach]:
        chosen = Listed(lambda channel: (self.source(channel, x),) * 2)
        return (chosen, *(SAME for _ in x[1:]))


class Slice(_ChannelChoice):
    """Channels `start` to `stop`, as x[start:stop]: (C, *sizes) -> (C', *sizes)."""

    kind = "slice"
    start: int = 0
    stop: int | None = None

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        channels = len(range(*slice(self.start, self.stop).indices(x[0])))
        inside = all(-x[0] <= end <= x[0] for end in (self.start, self.stop or 0))
        if not channels or not inside:
            raise ShapeError(f"no channels {self.start}:{self.stop} among {x[0]}")
        return (channels, *x[1:])

    def source(self, channel: int, x: Shape) -> int:
        return self.start % x[0] + channel

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Slice(self.start, self.stop)


class Select(_ChannelChoice):
    """The channels `indices`, in that order: (C, *sizes) -> (len(indices), *sizes)."""

    kind = "select"
    indices: Annotated[tuple[int, ...], Field(min_length=1)]

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        for index in self.indices:
            if not -x[0] <= index < x[0]:
                raise ShapeError(
                    f"no channel {index} among {x[0]}", hint="channels are counted from 0"
                )
        return (len(self.indices), *x[1:])

    def source(self, channel: int, x: Shape) -> int:
        return self.indices[channel] % x[0]

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Select(self.indices)


class ChannelShuffle(_ChannelChoice):
    """Channels dealt out over `groups`: (C, *sizes), unchanged. Zhang et al. 2017."""

    kind = "channel_shuffle"
    groups: PositiveInt

    def output_shape(self, x: Shape) -> Shape:
        self.require_axes(x)
        if x[0] % self.groups:
            raise ShapeError(f"its {x[0]} channels cannot be divided into {self.groups} groups")
        return x

    def source(self, channel: int, x: Shape) -> int:
        return channel % self.groups * (x[0] // self.groups) + channel // self.groups

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.ChannelShuffle(self.groups)


class LayerScale(Layer):
    """Each channel times a learnt weight that starts at `init`: Touvron et al. 2021."""

    kind = "layer_scale"
    main = "init"
    flops_per_output: ClassVar[int | None] = 1
    init: float = 1e-6

    def weights(self, x: Shape) -> Weights:
        return {"weight": (sym("C", x[0]),)}

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.LayerScale(x[0], len(x) - 1, **self.non_default("init"))


class ChannelAffine(Layer):
    """Each channel times a learnt weight, plus a learnt bias: LeNet-5's trained subsampling."""

    kind = "channel_affine"
    bias: bool = True

    def weights(self, x: Shape) -> Weights:
        weights: Weights = {"weight": (sym("C", x[0]),)}
        return {**weights, "bias": (sym("C", x[0]),)} if self.bias else weights

    def flops(self, x: Shape) -> Expr | None:
        return 2 * outputs_of(x) if self.bias else outputs_of(x)

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.ChannelAffine(x[0], len(x) - 1, **self.non_default("bias"))
