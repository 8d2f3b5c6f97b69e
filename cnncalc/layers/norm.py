"""Normalisation.

In the evaluation that the tables describe, a norm with running statistics maps every number by
itself; one that measures its input sees all that it measures.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Elementwise, Shape, Weights
from cnncalc.layers.types import Positive, PositiveInt
from cnncalc.maths.formula import sym
from cnncalc.maths.windows import SAME, WHOLE, Reach, Window, grouped
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Norm(Elementwise):
    """A layer that brings numbers to a common scale: two flops an output."""

    flops_per_output: ClassVar[int | None] = 2

    def is_hollow(self, y: Any) -> bool:
        """One number less its own mean is 0."""
        return bool(y.abs().max() < 1e-9)


def _per_channel(x: Shape, learnt: bool) -> Weights:
    return {"weight": (sym("C", x[0]),), "bias": (sym("C", x[0]),)} if learnt else {}


class _RunningNorm(Norm):
    """What batch and instance normalisation share: statistics kept from training."""

    eps: Positive = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True

    torch_name: ClassVar[str]

    def reach(self, x: Shape) -> Sequence[Reach]:
        measured = SAME if self.track_running_stats else WHOLE
        return (SAME, *(measured for _ in x[1:]))

    def weights(self, x: Shape) -> Weights:
        return _per_channel(x, self.affine)

    def buffers(self, x: Shape) -> Mapping[str, Shape]:
        if not self.track_running_stats:
            return {}
        return {"running_mean": x[:1], "running_var": x[:1], "num_batches_tracked": ()}

    def build(self, nn: Any, x: Shape) -> Any:
        options = self.non_default("eps", "momentum", "affine", "track_running_stats")
        return getattr(nn, f"{self.torch_name}{max(len(x) - 1, 1)}d")(x[0], **options)


class BatchNorm(_RunningNorm):
    """Batch normalisation: (C, *sizes) or (N,), unchanged. Ioffe & Szegedy 2015."""

    kind = "batch_norm"
    also_called = ("bn",)
    torch_name = "BatchNorm"

    def output_shape(self, x: Shape) -> Shape:
        if len(x) > 1:
            self.require_axes(x)
        return x


class InstanceNorm(_RunningNorm):
    """Normalisation of each channel of each sample: (C, *sizes), unchanged."""

    kind = "instance_norm"
    torch_name = "InstanceNorm"
    affine: bool = False
    track_running_stats: bool = False

    def output_shape(self, x: Shape) -> Shape:
        self.require_axes(x)
        if not self.track_running_stats and prod(x[1:]) == 1:
            raise ShapeError(
                f"cannot measure the spread of one number; received {write_shape(x)}",
                hint="an image needs more than one place",
            )
        return x


class LayerNorm(Norm):
    """Normalisation of each sample `over` its channels at each place, all of it, or its last axis.

    Weights: (C,) over channels, the sample's shape over all of it, (last,) over the last axis.
    """

    kind = "layer_norm"
    over: Literal["channels", "sample", "last"] = "channels"
    eps: Positive = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    main = "over"

    def _normalized_shape(self, x: Shape) -> Shape:
        return {"channels": x[:1], "sample": x, "last": x[-1:]}[self.over]

    def reach(self, x: Shape) -> Sequence[Reach]:
        whole = {"channels": {0}, "sample": {*range(len(x))}, "last": {len(x) - 1}}[self.over]
        return tuple(WHOLE if axis in whole else SAME for axis in range(len(x)))

    def weights(self, x: Shape) -> Weights:
        if not self.elementwise_affine:
            return {}
        shape = self._normalized_shape(x)
        return {"weight": shape, "bias": shape} if self.bias else {"weight": shape}

    def build(self, nn: Any, x: Shape) -> Any:
        options = self.non_default("eps", "elementwise_affine", "bias")
        shape = self._normalized_shape(x)
        if self.over == "channels" and len(x) > 1:
            return nn.ChannelLayerNorm(x[0], **options)
        return nn.LayerNorm(shape[0] if len(shape) == 1 else shape, **options)


class GroupNorm(Norm):
    """Normalisation of each of `num_groups` groups of channels: (C, *sizes), unchanged."""

    kind = "group_norm"
    num_groups: PositiveInt
    eps: Positive = 1e-5
    affine: bool = True

    def output_shape(self, x: Shape) -> Shape:
        if x[0] % self.num_groups:
            raise ShapeError(f"its {x[0]} channels cannot be divided into {self.num_groups} groups")
        return x

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (grouped(x[0], x[0], self.num_groups), *(WHOLE for _ in x[1:]))

    def weights(self, x: Shape) -> Weights:
        return _per_channel(x, self.affine)

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.GroupNorm(self.num_groups, x[0], **self.non_default("eps", "affine"))


class LocalResponseNorm(Norm):
    """Each number over those of `size` neighbouring channels: (C, *sizes). Krizhevsky 2012."""

    kind = "local_response_norm"
    also_called = ("lrn",)
    size: PositiveInt
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def output_shape(self, x: Shape) -> Shape:
        if len(x) < 2:
            raise ShapeError(f"needs channels and spatial axes; received {write_shape(x)}")
        return x

    def reach(self, x: Shape) -> Sequence[Reach]:
        neighbours = Window(self.size, 1, self.size // 2, (self.size - 1) // 2)
        return (neighbours, *(SAME for _ in x[1:]))

    def is_hollow(self, y: Any) -> bool:
        return self.alpha * self.beta == 0

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.LocalResponseNorm(self.size, **self.non_default("alpha", "beta", "k"))
