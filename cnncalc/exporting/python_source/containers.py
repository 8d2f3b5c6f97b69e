"""Containers of the written source: modules given by name, run one after another or joined."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


class Chain(nn.Sequential):
    """Modules by name, one after another."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__(OrderedDict(modules))


class Branches(nn.Module):
    """Modules by name that take the same input."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def outputs(self, x: Tensor) -> list[Tensor]:
        return [branch(x) for branch in self.children()]


class Sum(Branches):
    """The sum of the branches' outputs."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.outputs(x)
        for other in others:
            first = first + other
        return first


class Product(Branches):
    """The product of the branches' outputs; axes of length 1 are broadcast."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.outputs(x)
        for other in others:
            first = first * other
        return first


class Concat(Branches):
    """The channels of the branches' outputs, one after another."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.outputs(x), dim=1)
