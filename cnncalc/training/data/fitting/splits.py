"""Shares of a labelled set, taken from every class alike."""

from __future__ import annotations

import torch
from torch import Tensor

from cnncalc.errors import UsageError


def stratified(
    labels: Tensor, share: float, seed: int, what: str, advice: str = "take more"
) -> tuple[Tensor, Tensor]:
    """Indices of the samples kept and of those held out, ascending.

    Every class gives its share, rounded so that the total is right (largest remainder), and keeps
    one sample at least. What is drawn depends on labels, share and seed alone.

    Raises:
        UsageError: the share is not in 0..1, or too small to hold anything out; ends in `advice`.
    """
    if not 0 < share < 1:
        raise UsageError(f"{what} is a share between 0 and 1, such as 0.1; received {share}")
    counts = torch.bincount(labels)
    quotas = counts.double() * share
    taken = quotas.floor().long()
    missing = round(len(labels) * share) - int(taken.sum())
    largest = torch.argsort(quotas - taken, descending=True, stable=True)
    taken[largest[:missing]] += 1
    taken = torch.minimum(taken, (counts - 1).clamp(min=0))
    if not taken.any():
        raise UsageError(
            f"{what} {share:g} of {len(labels)} samples holds no sample, as each class keeps one:"
            f" {advice}"
        )
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for number, count in enumerate(taken.tolist()):
        members = torch.nonzero(labels == number).flatten()
        held[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
