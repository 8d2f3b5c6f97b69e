"""Modules that see what a layer's module sees and hide none of it from a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor, nn
from torch.nn.modules import padding, pooling

from cnncalc.layers.norm import Norm
from cnncalc.pytorch.modules import namespace, same_ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.layers.base import Layer, Shape

ADAPTIVE = {
    nn.AdaptiveMaxPool1d: nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool2d: nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool3d: nn.AdaptiveAvgPool3d,
}
FILLED_MODES = {"reflect", "replicate", "circular"}
FILLED = (padding._ReflectionPadNd, padding._ReplicationPadNd, padding._CircularPadNd)
"""Paddings whose content is pixels from elsewhere."""


class SummingPool(nn.Module):
    """Sees what a max pool sees: the sum or mean of each window, as many as the pool has."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        counts = self.pool(x.detach()).shape[2:]
        axes = len(counts)
        options = [getattr(self.pool, name) for name in ("kernel_size", "stride", "dilation")]
        kernel, stride, dilation = (v if isinstance(v, tuple) else (v,) * axes for v in options)
        before = self.pool.padding
        if type(self.pool).__name__.startswith("Same"):
            before = same_ring(x.shape[2:], kernel, stride, dilation)[-2::-2]
        before = before if isinstance(before, tuple) else (before,) * axes
        extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        ring: list[int] = []
        for n, s, e, p, size in zip(counts, stride, extents, before, x.shape[2:], strict=True):
            ring = [p, (n - 1) * s + e - size - p, *ring]
        x = F.pad(x, ring)
        if set(dilation) == {1}:
            mean = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1]
            return mean(x, kernel, stride)
        for axis, (s, e, d) in enumerate(zip(stride, extents, dilation, strict=True), start=2):
            x = x.unfold(axis, e, s)[..., ::d].sum(-1)
        return x


def transparent(
    layer: Layer, shapes: tuple[Shape, ...], dtype: torch.dtype = torch.float64
) -> nn.Module:
    """The layer's module for inputs of these shapes, in evaluation.

    Its weights are random and positive, so that nothing cancels; a norm's bias is 0. A max pool
    becomes a pool that sees the same.
    """
    module = _replaced(layer.build(namespace, *shapes), _without_maximum).to(dtype).eval()
    for name, parameter in module.requires_grad_(requires_grad=False).named_parameters():
        if isinstance(layer, Norm) and name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return module


def zero_padded(module: nn.Module) -> nn.Module:
    """The module with zeros for padding of any mode: receptive fields count it as outside."""
    module = _replaced(module, _without_filling)
    for part in module.modules():
        if getattr(part, "padding_mode", "zeros") != "zeros":
            setattr(part, "padding_mode", "zeros")  # noqa: B010 - typed as a Tensor
    return module


def _replaced(module: nn.Module, swap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """The module with itself or its parts swapped."""
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, swap))
    return swap(module)


def _without_maximum(module: nn.Module) -> nn.Module:
    if isinstance(module, pooling._MaxPoolNd):
        return SummingPool(module)
    for maximum, mean in ADAPTIVE.items():
        if isinstance(module, maximum):
            return mean(module.output_size)
    return module


def _without_filling(module: nn.Module) -> nn.Module:
    if not isinstance(module, FILLED):
        return module
    pad: nn.Module = getattr(nn, f"ConstantPad{len(module.padding) // 2}d")(module.padding, 0.0)
    return pad
