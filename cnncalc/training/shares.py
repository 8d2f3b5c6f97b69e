"""What one of several processes has of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Share(NamedTuple):
    """What one of `processes` has of a batch of `whole` samples, computed in `parts` parts.

    Of each part, cut as `torch.chunk` does, a contiguous slice; sizes differ by 1 at most.
    """

    rank: int
    processes: int
    whole: int
    parts: int = 1

    @property
    def slices(self) -> list[slice]:
        size = max(-(-self.whole // self.parts), 1)
        found = []
        for start in range(0, self.whole, size):
            length = min(size, self.whole - start)
            first, stop = (length * rank // self.processes for rank in (self.rank, self.rank + 1))
            found.append(slice(start + first, start + stop))
        return found

    @property
    def sizes(self) -> list[int]:
        return [part.stop - part.start for part in self.slices]

    def of(self, x: Tensor) -> Tensor:
        """(whole, …) -> (samples of this process, …)."""
        import torch

        slices = self.slices
        return x[slices[0]] if len(slices) == 1 else torch.cat([x[part] for part in slices])
