"""One class per layer kind, in a module per family.

A family is imported when a kind is first asked for that no imported family has: a table of a
small network pays only for the layers that it uses. The commonest families come first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnncalc.errors import ShapeError
from cnncalc.layers.base import REGISTRY, Layer, Rearrangement, Shape, Weights
from cnncalc.maths.formula import product, sym
from cnncalc.maths.windows import SAME, WHOLE, Window

if TYPE_CHECKING:
    from cnncalc.layers.windows import Windowed

__all__ = [
    "SAME",
    "WHOLE",
    "Layer",
    "Rearrangement",
    "Shape",
    "ShapeError",
    "Weights",
    "Window",
    "Windowed",
    "product",
    "sym",
]
"""What a layer is written with: docs/own_layers.md."""

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


def own(kind: str) -> type[Layer] | None:
    """The layer class of a kind of ours, or None."""
    for family in FAMILIES:
        if kind in REGISTRY:
            break
        import_module(f"{__name__}.{family}")
    cls = REGISTRY.get(kind)
    return cls if cls is not None and cls.__module__.startswith(f"{__name__}.") else None


def find(kind: str) -> type[Layer] | None:
    """The layer class of a kind, or None.

    Raises:
        UsageError: it is none of ours, and another package's layers cannot be loaded.
    """
    cls = REGISTRY.get(kind) or own(kind)
    if cls is None:
        _load_outside()
        cls = REGISTRY.get(kind)
    return cls


def registry() -> dict[str, type[Layer]]:
    """Every layer class by its kind, also those of other packages.

    Raises:
        UsageError: another package's layers cannot be loaded.
    """
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
    _load_outside()
    return dict(REGISTRY)


def _load_outside() -> None:
    """Late: to look for packages takes longer than a small table."""
    from cnncalc.layers.outside import load

    load()


def __getattr__(name: str) -> Any:
    """`Windowed` is loaded on first use, as its family is."""
    if name == "Windowed":
        return import_module(f"{__name__}.windows").Windowed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
