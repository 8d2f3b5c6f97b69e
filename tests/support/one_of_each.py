"""One layer of each kind, with the fields that it requires and what it needs to do anything."""

from __future__ import annotations

from typing import Any

from cnncalc.layers import registry

SHAPE = (4, 6, 6)
"""What flows into each."""
FIELDS: dict[str, Any] = {
    "out_channels": 4,
    "kernel_size": 2,
    "output_size": 2,
    "out_features": 3,
    "num_groups": 1,
    "size": 1,
    "p": 0.5,
    "unflattened_size": (2, 2),
    "shape": (-1,),
    "dims": (0, 1, 2),
    "padding": 1,
    "cropping": 1,
    "upscale_factor": 1,
    "groups": 2,
    "indices": (0,),
}
"""A value for each field that some layer requires."""
MORE: dict[str, dict[str, Any]] = {
    "local_response_norm": {"size": 3},
    "permute": {"dims": (0, 2, 3, 1)},
    "pixel_shuffle": {"upscale_factor": 2},
    "reshape": {"shape": (2, 2, 36)},
    "slice": {"start": 1},
    "upsample": {"scale_factor": 2.0},
}
"""Fields of those that would do nothing, or do not fit `SHAPE`, without them."""
FLAT = ("rbf",)
"""Kinds that take a vector."""


def items_of(kind: str) -> list[Any]:
    """The layer of a kind as items of a spec, for an input of `SHAPE`."""
    cls = registry()[kind]
    if cls.joins:
        return [{kind: [["relu"], []]}]
    required = {name for name, field in cls.model_fields.items() if field.is_required()}
    missing = required - {*FIELDS, *MORE.get(kind, ())}
    assert not missing, f"{kind}: tests/support/one_of_each.py has no {', '.join(sorted(missing))}"
    fields = {name: FIELDS[name] for name in required if name in FIELDS} | MORE.get(kind, {})
    listed = {name: [*each] if isinstance(each, tuple) else each for name, each in fields.items()}
    return [*(["flatten"] if kind in FLAT else []), {kind: listed}]


def network_of_all() -> tuple[list[str], dict[str, Any]]:
    """The kinds, and a network with a branch for each that ends in a number of its own.

    A tanh stands between, so that an exporter does not make one of two layers.
    """
    kinds = sorted(registry().keys() - {"unknown"})
    branches = [[*items_of(kind), "tanh", "flatten", {"linear": 1}] for kind in kinds]
    return kinds, {"input": [*SHAPE], "layers": [{"concat": branches}]}
