"""What PyTorch itself counts of a module, and weights of which each matters."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(model: Any, shape: tuple[int, ...]) -> int:
    """Of one sample of that shape, as PyTorch counts them on the meta device."""
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *shape, device="meta"))
    return int(counter.get_total_flops()) // 2


def perturbed(model: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """The model in evaluation, no two of its tensors alike, its norms fitted to random images."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            small = tensor.numel() == max(tensor.shape, default=1)
            noise = torch.randn_like(tensor)
            tensor.add_(noise, alpha=0.2 if small else 0.1 * float(tensor.std()))
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the mean of what it has seen
        model.train()(torch.randn(4, *shape))
    return model.eval()
