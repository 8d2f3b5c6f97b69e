"""Batch normalisation over the whole batch, where several processes share it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SharedBatchNorm(_BatchNorm):
    """What nn.SyncBatchNorm is on GPUs, on the CPU: statistics of the samples of all processes."""

    def _check_input_dim(self, _: Tensor) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = (0, *range(2, x.dim()))
        shape = (1, -1, *(1,) * (x.dim() - 2))
        wide = x.float()
        count = wide.new_tensor([x.numel() // x.shape[1]])
        sums, count = torch.split(_sum(torch.cat([wide.sum(axes), count])), [x.shape[1], 1])
        mean = sums / count
        centred = wide - mean.view(shape)
        var = _sum(centred.square().sum(axes)) / count
        self._follow(mean.detach(), var.detach() * count / (count - 1))
        scale = (var + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        y = centred * scale.view(shape)
        y = y if self.bias is None else y + self.bias.view(shape)
        return y.to(x.dtype)

    def _follow(self, mean: Tensor, var: Tensor) -> None:
        """Moves the running statistics."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(var, momentum)


class SyncBatchNorm(nn.SyncBatchNorm):
    """PyTorch's, for processes without a sample too.

    Its message of such a one is of the input's type, while those of the others are float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.numel():
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)


def shared(norm: _BatchNorm, device: torch.device) -> _BatchNorm:
    """A batch norm over all processes, with the same weights and buffers."""
    kind = SharedBatchNorm if device.type == "cpu" else SyncBatchNorm
    new = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    new._parameters, new._buffers = norm._parameters, norm._buffers
    return new.train(norm.training)


class _Sum(torch.autograd.Function):
    """A tensor summed over the processes; so is its gradient."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        result = x.clone()
        dist.all_reduce(result)
        return result

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        result = gradient.contiguous().clone()
        dist.all_reduce(result)
        return result


def _sum(x: Tensor) -> Tensor:
    result: Tensor = _Sum.apply(x)
    return result
