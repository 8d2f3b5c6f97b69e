"""What one of several processes has of a batch."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Piece(NamedTuple):
    """The samples `first` to `stop` − 1 of the `length` that a part of a batch has."""

    first: int
    stop: int
    length: int


class Share(NamedTuple):
    """What one of `processes` has of a batch of `whole` samples, computed in `parts` parts.

    Of each part, cut as `torch.chunk` does, a contiguous slice; sizes differ by 1 at most.
    """

    rank: int
    processes: int
    whole: int
    parts: int = 1

    @property
    def pieces(self) -> list[Piece]:
        """Of each part, which of its samples."""
        size = max(-(-self.whole // self.parts), 1)
        lengths = [min(size, self.whole - start) for start in range(0, self.whole, size)]
        return [
            Piece(
                length * self.rank // self.processes,
                length * (self.rank + 1) // self.processes,
                length,
            )
            for length in lengths
        ]

    @property
    def slices(self) -> list[slice]:
        """Of each part, which of the batch's samples."""
        pieces = self.pieces
        starts = accumulate((piece.length for piece in pieces), initial=0)
        return [
            slice(start + piece.first, start + piece.stop)
            for start, piece in zip(starts, pieces, strict=False)
        ]

    @property
    def sizes(self) -> list[int]:
        return [piece.stop - piece.first for piece in self.pieces]

    def of(self, x: Tensor) -> Tensor:
        """(whole, …) -> (samples of this process, …)."""
        import torch

        slices = self.slices
        return x[slices[0]] if len(slices) == 1 else torch.cat([x[part] for part in slices])
