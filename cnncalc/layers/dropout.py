"""Layers that drop at random in training and pass everything on in evaluation."""

from __future__ import annotations

from typing import Any, Literal

from cnncalc.layers.base import Rearrangement, Shape
from cnncalc.layers.types import Probability


class Dropout(Rearrangement):
    """Drops single numbers with probability `p`."""

    kind = "dropout"
    main = "p"
    p: Probability = 0.5

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Dropout(self.p)


class ChannelDropout(Rearrangement):
    """Drops whole channels with probability `p`: (C, *sizes), unchanged."""

    kind = "channel_dropout"
    also_called = ("dropout2d",)
    main = "p"
    p: Probability = 0.5

    def output_shape(self, x: Shape) -> Shape:
        self.require_axes(x)
        return x

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, f"Dropout{len(x) - 1}d")(self.p)


class StochasticDepth(Rearrangement):
    """Drops its whole input, for a sample or the batch, with probability `p`. Huang et al. 2016."""

    kind = "stochastic_depth"
    p: Probability
    mode: Literal["row", "batch"] = "row"

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.StochasticDepth(self.p, self.mode)
