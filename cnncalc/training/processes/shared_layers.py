"""Layers that see more than their own sample, where several processes share a batch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.nn.modules.batchnorm import _BatchNorm

from cnncalc.training.processes import shared_batch_norm, shared_dropout
from cnncalc.training.processes.processes import here

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn


@contextmanager
def shared_layers(model: nn.Module, device: torch.device, *, batch_norm: bool) -> Iterator[None]:
    """Within, dropout draws for the whole batch; if `batch_norm`, statistics too are of the whole.

    Weights, buffers and all names stay the same objects.
    """
    if here().count == 1:
        yield
        return
    own = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, shared_dropout.KINDS)
        or (batch_norm and isinstance(module, _BatchNorm))
    }
    for name, module in own.items():
        model.set_submodule(
            name,
            shared_batch_norm.shared(module, device)
            if isinstance(module, _BatchNorm)
            else shared_dropout.SharedDropout(module),
        )
    try:
        yield
    finally:
        for name, module in own.items():
            model.set_submodule(name, module.train(model.training))
