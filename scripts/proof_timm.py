"""The CNNs of timm with at most 60 M parameters, imported: figures as PyTorch counts them.

Prints one line for each network that differs, has parts without a layer, or cannot be followed;
then how many there were of each. Ends with 1 if a figure differs that is said to be complete.
Patterns choose networks: `scripts/proofs timm 'resnet*' 'convnext*'`.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import timm
import torch
from support.counting import multiply_adds

import cnncalc

LARGEST = 60_000_000
ATTENTION = ("vit", "beit", "deit", "swin", "eva", "cait", "xcit", "coat", "mvit", "pit_", "naflex")
"""Beginnings of names of what is no CNN."""


def outcome(name: str) -> tuple[str, str]:
    """One of exact, differs, unknown, large, not followed; and what there is to say."""
    try:
        with torch.device("meta"):
            model: Any = timm.create_model(name).eval()
    except Exception as error:  # noqa: BLE001 - of timm's own: some cannot be made on meta
        return "not made", f"{type(error).__name__}: {error}"
    parameters = sum(weight.numel() for weight in model.parameters())
    if parameters > LARGEST:
        return "large", ""
    size = model.default_cfg.get("input_size", (3, 224, 224))
    try:
        totals = cnncalc.analyze_module(model, tuple(size)).totals
    except cnncalc.CnncalcError as error:
        return "not followed", str(error).splitlines()[0]
    if totals.unknown:
        return "unknown", ", ".join(totals.unknown)
    ours, theirs = (
        (totals.parameters, totals.multiply_adds),
        (parameters, multiply_adds(model, size)),
    )
    return ("exact", "") if ours == theirs else ("differs", f"{ours} in place of {theirs}")


def main(patterns: list[str]) -> int:
    found: Counter[str] = Counter()
    for name in timm.list_models(patterns or "*"):
        if name.startswith(ATTENTION):
            continue
        result, said = outcome(name)
        found[result] += 1
        if said:
            print(f"{name}: {result}: {said}", flush=True)
    print(", ".join(f"{number} {result}" for result, number in found.most_common()))
    return 1 if found["differs"] or not found["exact"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
