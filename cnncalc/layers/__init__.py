"""One class per layer kind, in a module per family.

A family is imported when a kind is first asked for that no imported family has: a table of a
small network pays only for the layers that it uses. The commonest families come first.
"""

from __future__ import annotations

from importlib import import_module

from cnncalc.layers.base import REGISTRY, Layer

FAMILIES = (
    "conv",
    "pool",
    "relu",
    "linear",
    "shape",
    "norm",
    "adaptive_pool",
    "activation",
    "merge",
    "dropout",
    "channel",
    "spatial",
    "unknown",
)
"""The modules of this package that define layers: the one line that a new family costs."""


def find(kind: str) -> type[Layer] | None:
    """The layer class of a kind, or None."""
    for family in FAMILIES:
        if kind in REGISTRY:
            break
        import_module(f"{__name__}.{family}")
    return REGISTRY.get(kind)


def registry() -> dict[str, type[Layer]]:
    """Every layer class by its kind."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
    return dict(REGISTRY)
