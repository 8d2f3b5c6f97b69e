"""PyTorch's operators that move numbers, and the layers of ours that do the same: see `aten`."""

from __future__ import annotations

from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

from cnncalc.importing.sketch.operations import Operation, name_of
from cnncalc.importing.sketch.site import Site, Translators, axis_of

TRANSLATORS = Translators()
"""By the name of the operator."""


BROADCAST = ("expand", "expand_as")
"""What makes axes of length 1 longer."""


@TRANSLATORS.of(*BROADCAST)
def _expand(site: Site) -> Operation | None:
    """Only a product makes axes longer by itself; anything else would see the short ones."""
    multiplied = all(name_of(user) == "mul" for user in site.users)
    same = len(site.x.shape) == len(site.shape)
    return site.x if site.x.shape == site.shape or (multiplied and same) else None


@TRANSLATORS.of("cat", "concat", "concatenate")
def _cat(site: Site) -> Operation | None:
    tensors = site["tensors"]
    if not all(isinstance(each, Operation) for each in tensors):
        return None
    if axis_of(site["dim"], tensors[0]) != 1:
        return None
    return site.layer("concat", *tensors) if len(tensors) > 1 else tensors[0]


@TRANSLATORS.of("view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "unflatten")
def _reshape(site: Site) -> Operation:
    x, shape = site.x, site.shape
    if x.shape == shape:
        return x
    return site.layer("flatten") if len(shape) == 1 else site.layer("reshape", shape=shape)


@TRANSLATORS.of("flatten")
def _flatten(site: Site) -> Operation:
    if site.x.shape == site.shape or len(site.shape) == 1:
        return _reshape(site)
    return site.layer("flatten", start_dim=site["start_dim"], end_dim=site["end_dim"])


@TRANSLATORS.of("permute", "transpose", "t", "movedim", "swapaxes", "numpy_T")
def _permute(site: Site) -> Operation | None:
    axes = [*range(len(site.x.shape) + 1)]
    if "dims" in site.arguments:
        order = [axis % len(axes) for axis in site["dims"]]
    elif "dim0" in site.arguments:
        order, (a, b) = axes[:], (site["dim0"] % len(axes), site["dim1"] % len(axes))
        order[a], order[b] = b, a
    elif "source" in site.arguments:
        (source,), (target,) = ([*_listed(site[name])] for name in ("source", "destination"))
        order = [axis for axis in axes if axis != source % len(axes)]
        order.insert(target % len(axes), source % len(axes))
    else:
        return None
    return site.x if order == axes else site.layer("permute", dims=order)


def _listed(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]


@TRANSLATORS.of("chunk", "split", "split_with_sizes", "unsafe_chunk", "unsafe_split")
def _split(site: Site) -> list[Operation] | None:
    x = site.x
    if axis_of(site["dim"], x) != 1:
        return None
    channels = x.shape[0]
    sizes: Any = site.arguments.get("split_sizes", site.arguments.get("split_size"))
    if "chunks" in site.arguments:
        sizes = -(-channels // site["chunks"])
    if isinstance(sizes, int):
        sizes = [min(sizes, channels - start) for start in range(0, channels, sizes)]
    parts, start = [], 0
    for size in sizes:
        parts.append(site.channels(start, start + size))
        start += size
    return parts


@TRANSLATORS.of("slice", "narrow")
def _slice(site: Site) -> Operation | None:
    x = site.x
    axis = axis_of(site["dim"], x)
    size = x.shape[axis - 1]
    first = site["start"] or 0
    last = first + site["length"] if "length" in site.arguments else site["end"]
    start, stop, step = slice(first, last, site.arguments.get("step", 1)).indices(size)
    if (start, stop, step) == (0, size, 1):
        return x
    if step == 1 and axis == 1:
        return site.channels(start, stop)
    if axis == 1 or ((start, stop) != (0, size) and step != 1):
        return None
    if step != 1:
        strides = [step if at == axis - 1 else 1 for at in range(1, len(x.shape))]
        return site.layer("max_pool", kernel_size=1, stride=strides)
    cut, none = [start, size - stop], [0, 0]
    rings = [cut if at == axis - 1 else none for at in range(1, len(x.shape))]
    return site.layer("crop", cropping=_rings(rings))


@TRANSLATORS.of("index", "index_select")
def _index(site: Site) -> Operation | None:
    given: Any = site.arguments.get("indices", [None, site.arguments.get("index")])
    before, *chosen = given
    if before is not None or len(chosen) != 1 or not isinstance(chosen[0], torch.Tensor):
        return None
    known = not chosen[0].is_meta and not isinstance(chosen[0], FakeTensor)
    if site.arguments.get("dim", 1) != 1 or not known or chosen[0].dim() != 1:
        return None
    return site.layer("select", indices=chosen[0].tolist())


@TRANSLATORS.of("pad", "constant_pad_nd")
@TRANSLATORS.of("reflection_pad2d", mode="reflect")
@TRANSLATORS.of("replication_pad2d", mode="replicate")
def _pad(site: Site, mode: str = "") -> Operation | None:
    given: Any = site.arguments.get("pad", site.arguments.get("padding"))
    axes = len(site.x.shape) - 1
    pairs = [list(pair) for pair in zip(given[::2], given[1::2], strict=True)][::-1]
    if len(pairs) > axes:
        return None
    rings = [[0, 0]] * (axes - len(pairs)) + pairs
    if all(units <= 0 for ring in rings for units in ring):
        return site.layer("crop", cropping=_rings([[-a, -b] for a, b in rings]))
    mode = mode or site.arguments.get("mode", "constant")
    value = site.arguments.get("value") or 0.0
    fields = {"mode": "zeros"} if mode == "constant" else {"mode": mode}
    if mode == "constant" and value:
        fields = {"mode": "constant", "value": float(value)}
    return site.layer("pad", padding=_rings(rings), **fields)


def _rings(rings: list[list[int]]) -> Any:
    """As short as may be: a number for all sides, or one for an axis whose sides are equal."""
    short = [a if a == b else [a, b] for a, b in rings]
    return short[0] if all(isinstance(r, int) and r == short[0] for r in short) else short


@TRANSLATORS.of("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", linear=False)
@TRANSLATORS.of("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", linear=True)
def _upsample(site: Site, linear: bool) -> Operation:
    fields: dict[str, Any] = {}
    if linear:
        fields = {"mode": "linear", "align_corners": bool(site["align_corners"]) or None}
    factors = site.arguments.get("scale_factors")
    if factors:
        factors = [int(factor) if factor == int(factor) else factor for factor in factors]
        return site.layer("upsample", scale_factor=factors, **fields)
    return site.layer("upsample", size=site.shape[1:], **fields)
