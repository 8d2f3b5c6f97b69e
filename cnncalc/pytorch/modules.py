"""The few modules that layers build and torch.nn lacks, and the `namespace` of both.

Every module takes a batch `(N, *sample)`. Its parameters and buffers are named as the layer's
`weights` and `buffers` say.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    Units = int | tuple[int, ...]


def same_ring(
    sizes: Sequence[int], kernel: Units, stride: Units, dilation: Units = 1
) -> tuple[int, ...]:
    """The padding of TensorFlow's `same`, as `F.pad` takes it: the last axis first, odd one after.

    The output has ⌈n/stride⌉ units, so the ring is (⌈n/s⌉ − 1)·s + d·(k − 1) + 1 − n, at least 0.
    """
    axes = len(sizes)
    spread = (v if isinstance(v, tuple) else (v,) * axes for v in (kernel, stride, dilation))
    ring: tuple[int, ...] = ()
    for n, k, s, d in zip(sizes, *spread, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        ring = (total // 2, total - total // 2, *ring)
    return ring


class _SameConv:
    """A convolution with TensorFlow's `same` padding, which PyTorch has for stride 1 only."""

    def forward(self: Any, x: Tensor) -> Tensor:
        ring = same_ring(x.shape[2:], self.kernel_size, self.stride, self.dilation)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        x = F.pad(x, ring, mode)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel_size) - 1]
        return convolve(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SameConv1d(_SameConv, nn.Conv1d):
    """(N, C, L) -> (N, out, ⌈L/stride⌉)."""


class SameConv2d(_SameConv, nn.Conv2d):
    """(N, C, H, W) -> (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""


class SameConv3d(_SameConv, nn.Conv3d):
    """(N, C, D, H, W) -> (N, out, ⌈D/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉)."""


class _SameMaxPool:
    """A max pool with TensorFlow's `same` padding; the padding is never the largest."""

    def forward(self: Any, x: Tensor) -> Tensor:
        ring = same_ring(x.shape[2:], self.kernel_size, self.stride, self.dilation)
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
        x = F.pad(x, ring, value=-torch.inf)
        return pool(x, self.kernel_size, self.stride, 0, self.dilation)


class SameMaxPool1d(_SameMaxPool, nn.MaxPool1d):
    """(N, C, L) -> (N, C, ⌈L/stride⌉)."""


class SameMaxPool2d(_SameMaxPool, nn.MaxPool2d):
    """(N, C, H, W) -> (N, C, ⌈H/stride⌉, ⌈W/stride⌉)."""


class SameMaxPool3d(_SameMaxPool, nn.MaxPool3d):
    """(N, C, D, H, W) -> (N, C, ⌈D/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉)."""


class _SameAvgPool(nn.Module):
    """An average pool with TensorFlow's `same` padding.

    The padding is part of the mean if `count_include_pad`, as in torch.nn (TensorFlow leaves it
    out); `divisor_override` divides the sum of the window instead.
    """

    def __init__(
        self,
        kernel_size: Units,
        stride: Units | None = None,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        ring = same_ring(x.shape[2:], self.kernel_size, self.stride)
        if self.divisor_override is not None:
            pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool3d
            divisor = self.divisor_override
            return pool(F.pad(x, ring), self.kernel_size, self.stride, divisor_override=divisor)
        mean = self._mean(F.pad(x, ring))
        if self.count_include_pad:
            return mean
        return mean / self._mean(F.pad(torch.ones_like(x[:1, :1]), ring))

    def _mean(self, x: Tensor) -> Tensor:
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
        return pool(x, self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"count_include_pad={self.count_include_pad}, divisor_override={self.divisor_override}"
        )


class SameAvgPool1d(_SameAvgPool):
    """(N, C, L) -> (N, C, ⌈L/stride⌉)."""


class SameAvgPool2d(_SameAvgPool):
    """(N, C, H, W) -> (N, C, ⌈H/stride⌉, ⌈W/stride⌉)."""


class SameAvgPool3d(_SameAvgPool):
    """(N, C, D, H, W) -> (N, C, ⌈D/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉)."""


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels at each place: (N, C, *sizes), unchanged."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class RBF(nn.Module):
    """Squared distance to each of the fixed `codes`: (N, in_features) -> (N, out_features).

    The codes begin as −1 and 1 at random, as LeCun et al. 1998 suggest where none are drawn.
    """

    codes: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randint(0, 2, (out_features, in_features)) * 2.0 - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] - self.codes).square().sum(-1)

    def extra_repr(self) -> str:
        return f"in_features={self.codes.shape[1]}, out_features={self.codes.shape[0]}"


class ChannelAffine(nn.Module):
    """Each channel times a learnt weight, plus a learnt bias: (N, C, *sizes), unchanged."""

    bias: nn.Parameter | None

    def __init__(self, channels: int, axes: int, bias: bool = True) -> None:
        super().__init__()
        self.axes = axes
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * self.axes)
        x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, {self.axes}, bias={self.bias is not None}"


class LayerScale(ChannelAffine):
    """Each channel times a learnt weight that starts at `init`: (N, C, *sizes), unchanged."""

    def __init__(self, channels: int, axes: int, init: float = 1e-6) -> None:
        super().__init__(channels, axes, bias=False)
        self.init = init
        nn.init.constant_(self.weight, init)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, {self.axes}, init={self.init}"


class StochasticDepth(nn.Module):
    """In training drops each sample (`row`), or the whole `batch`, with probability `p`."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, from 0 to 1; received {p}")
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        kept = torch.rand(rows, *(1,) * (x.dim() - 1), device=x.device) >= self.p
        return x * kept / (1 - self.p) if self.p < 1 else x * kept

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode!r}"


class Crop(nn.Module):
    """Cuts (before, after) units from each spatial axis: (N, C, *sizes) -> (N, C, *smaller)."""

    def __init__(self, cropping: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.cropping = cropping

    def forward(self, x: Tensor) -> Tensor:
        for axis, (before, after) in enumerate(self.cropping, start=2):
            x = x.narrow(axis, before, x.shape[axis] - before - after)
        return x

    def extra_repr(self) -> str:
        return f"{self.cropping}"


class Slice(nn.Module):
    """Channels `start` to `stop`: (N, C, *sizes) -> (N, C', *sizes)."""

    def __init__(self, start: int, stop: int | None) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"{self.start}, {self.stop}"


class Select(nn.Module):
    """The channels `indices`, in that order: (N, C, *sizes) -> (N, len(indices), *sizes)."""

    def __init__(self, indices: tuple[int, ...]) -> None:
        super().__init__()
        self.indices = indices

    def forward(self, x: Tensor) -> Tensor:
        return x[:, list(self.indices)]

    def extra_repr(self) -> str:
        return f"{self.indices}"


class Reshape(nn.Module):
    """(N, *sample) -> (N, *shape); one length may be −1."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)  # len(x) would fix the batch of an export

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.shape))


class Permute(nn.Module):
    """Axes in the order `dims`, the batch being 0."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims).contiguous()  # some of PyTorch's layers take no other

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.dims))


class Add(nn.Module):
    """The sum of its inputs."""

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            x = x + other
        return x


class Multiply(nn.Module):
    """The product of its inputs; axes of length 1 are broadcast."""

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            x = x * other
        return x


class Concat(nn.Module):
    """The channels of its inputs, one after another."""

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cat(xs, dim=1)


_OWN = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and value.__module__ == __name__ and not name.startswith("_")
}
namespace = SimpleNamespace(**{**vars(nn), **_OWN})
"""torch.nn and the modules of this page: what `Layer.build` takes."""
