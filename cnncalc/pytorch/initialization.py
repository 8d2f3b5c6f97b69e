"""How weights start: functions for `nn.Module.apply`, and what `init:` of a graph does with them.

`kaiming`, `xavier` and `trunc_normal` need nothing but PyTorch.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from cnncalc.layers.merge import Merge
from cnncalc.network.last_norms import last_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnncalc.network.graph import Graph


def kaiming(module: nn.Module, mode: str = "fan_in", distribution: str = "normal") -> None:
    """Weights of variance 2/fan, for rectifiers; biases 0. He et al. 2015."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        draw = getattr(nn.init, f"kaiming_{distribution}_")
        draw(module.weight, mode=mode, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def xavier(module: nn.Module, distribution: str = "normal") -> None:
    """Weights of variance 2/(fan_in + fan_out); biases 0. Glorot & Bengio 2010."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        draw = getattr(nn.init, f"xavier_{distribution}_")
        draw(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def trunc_normal(module: nn.Module, std: float = 0.02) -> None:
    """Normal weights, none beyond −2 or 2; biases 0."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        nn.init.trunc_normal_(module.weight, std=std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


SCHEMES: dict[str, Callable[..., None]] = {
    "kaiming": kaiming,
    "xavier": xavier,
    "trunc_normal": trunc_normal,
}


def initialize(root: nn.Module, graph: Graph) -> None:
    """Starts the weights of a graph's modules, each in `root` by its node's name, as `init:` says.

    Shared weights start once, as their owner's.
    """
    init = graph.init
    if init.weights in SCHEMES:
        start = partial(SCHEMES[init.weights], **init.options)
        for node in graph.nodes:
            if node.shares is None and not isinstance(node.layer, Merge):
                start(root.get_submodule(node.name))
    if init.zero_init_residual:
        for name in last_norms(graph):
            nn.init.zeros_(root.get_submodule(name).get_parameter("weight"))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, tensors are made on the CPU from random numbers that begin at `seed`.

    Tensors of the meta device stay there. Afterwards random numbers go on as if nothing had been.
    """
    device = torch.get_default_device()
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("meta" if device.type == "meta" else "cpu"),
    ):
        torch.default_generator.manual_seed(seed)
        yield
