"""Dropout where several processes share a batch: each draws for the whole, and keeps its rows.

All have the same random numbers, so a run is the same whatever their number.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnncalc.pytorch.modules import StochasticDepth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.training.processes.shares import Piece

KINDS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, StochasticDepth)
"""Modules that multiply their input by random numbers, drawn for each sample."""


class SharedDropout(nn.Module):
    """What one of `KINDS` does to a whole batch, done to the piece of it that `drawn_for` names."""

    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout = dropout
        self.train(dropout.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        piece = _now[-1]
        # Whole channels, or samples, need no more than one number each.
        single = isinstance(self.dropout, nn.Dropout)
        sizes = x.shape[1:] if single else (x.shape[1], *(1,) * (x.dim() - 2))
        last = single and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        shape = (piece.length, *sizes)
        ones = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout).fill_(1)
        factors: Tensor = self.dropout(ones)
        return x * factors[piece.first : piece.stop]


_now: list[Piece] = []


@contextmanager
def drawn_for(piece: Piece) -> Iterator[None]:
    """Within, a shared dropout sees the rows `piece` of a batch."""
    _now.append(piece)
    try:
        yield
    finally:
        _now.pop()
