"""ONNX's operators that move numbers, and the layers of ours that do the same."""

from __future__ import annotations

from typing import Any

from cnncalc.importing.sketch.operations import Operation, Weight
from cnncalc.importing.sketch.site import Site, Translators

TRANSLATORS = Translators()
"""By the name of the operator."""


@TRANSLATORS.of(  # the shapes of both sides say it all
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze"), ignoring=("in1", "axis", "axes", "allowzero")
)
def _reshape(site: Site) -> Operation:
    if site.x.shape == site.shape:
        return site.x
    if len(site.shape) == 1:
        return site.layer("flatten")
    return site.layer("reshape", shape=site.shape)


@TRANSLATORS.of("Transpose")
def _transpose(site: Site) -> Operation:
    return site.layer("permute", dims=site["perm"])


@TRANSLATORS.of("Concat")
def _concat(site: Site) -> Operation | None:
    parts = [
        value for key, value in site.arguments.items() if key[:2] == "in" and key[2:].isdigit()
    ]
    if not all(isinstance(part, Operation) for part in parts):
        return None
    if site["axis"] % (len(parts[0].shape) + 1) != 1:
        return None
    return site.layer("concat", *parts) if len(parts) > 1 else parts[0]


@TRANSLATORS.of("Split")
def _split(site: Site) -> list[Operation] | None:
    x = site.x
    if site.arguments.get("axis", 0) % (len(x.shape) + 1) != 1:
        return None
    parts, start = [], 0
    for shape in site["outputs"]:
        parts.append(site.channels(start, start + shape[0]))
        start += shape[0]
    return parts


@TRANSLATORS.of("Slice")
def _slice(site: Site) -> Operation | None:
    x = site.x
    starts, ends, axes = (site.arguments.get(f"in{index}") for index in (1, 2, 3))
    steps = site.arguments.get("in4")
    if starts is None or ends is None or axes is None or len(axes) != 1:
        return None
    axis = int(axes[0]) % (len(x.shape) + 1)
    size = x.shape[axis - 1]
    step = 1 if steps is None else int(steps[0])
    start, stop, step = slice(int(starts[0]), int(ends[0]), step).indices(size)
    if step != 1:
        return None
    if axis == 1:
        return site.channels(start, stop)
    rings = [[start, size - stop] if at == axis - 1 else 0 for at in range(1, len(x.shape))]
    return site.layer("crop", cropping=rings)


@TRANSLATORS.of("Gather")
def _gather(site: Site) -> Operation | None:
    indices = site["in1"]
    if site.arguments.get("axis", 0) != 1 or isinstance(indices, Weight) or not indices.shape:
        return None
    return site.layer("select", indices=[int(index) for index in indices])


@TRANSLATORS.of("Pad")
def _pad(site: Site) -> Operation | None:
    given: Any = site.arguments.get("in1", site.arguments.get("pads"))
    pads = [int(units) for units in given]
    half = len(pads) // 2
    rings = [[a, b] for a, b in zip(pads[:half], pads[half:], strict=True)]
    mode = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    value = site.arguments.get("in2")
    if any(units for ring in rings[:2] for units in ring):
        return None
    if value is not None and not isinstance(value, Weight) and float(value):
        return None
    fields: dict[str, Any] = {"mode": mode[site.arguments.get("mode", "constant")]}
    return site.layer("pad", padding=[a if a == b else [a, b] for a, b in rings[2:]], **fields)


@TRANSLATORS.of(
    "Resize",  # what cubic interpolation, crops and sizes have of their own
    ignoring=("in1", "in3", "cubic_coeff_a", "exclude_outside", "extrapolation_value"),
)
@TRANSLATORS.of("Upsample", old=True)
def _resize(site: Site, *, old: bool = False) -> Operation | None:
    mode = site.arguments.get("mode", "nearest")
    old = old or site["opset"] < 11
    how = site.arguments.get(
        "coordinate_transformation_mode", "asymmetric" if old else "half_pixel"
    )
    fields = _size_or_scale(site, "in1" if old else "in2")
    policy = site.arguments.get("keep_aspect_ratio_policy", "stretch")
    if site.arguments.get("antialias", 0) or site.arguments.get("axes") or policy != "stretch":
        return None
    if mode == "linear":
        if how == "align_corners":
            fields["align_corners"] = True
        elif how not in ("half_pixel", "pytorch_half_pixel"):
            return None
        fields["mode"] = "linear"
    elif mode != "nearest" or not _takes_the_nearest(site, how, "floor" if old else None):
        return None
    return site.layer("upsample", **fields)


def _size_or_scale(site: Site, name: str) -> dict[str, Any]:
    """The scale, if sizes are no whole multiple of it: outputs are sampled by the scale itself."""
    scales: Any = site.arguments.get(name, site.arguments.get("scales"))
    if scales is None or len(scales) != len(site.shape) + 1:
        return {"size": site.shape[1:]}
    factors = [float(scale) for scale in scales][2:]
    sizes = zip(site.x.shape[1:], factors, site.shape[1:], strict=True)
    if all(size * factor == out for size, factor, out in sizes):
        return {"size": site.shape[1:]}
    return {"scale_factor": factors}


def _takes_the_nearest(site: Site, how: str, rounding: str | None) -> bool:
    """Whether output i is input floor(i·in/out), as our layer has it."""
    rounding = rounding or site.arguments.get("nearest_mode", "round_prefer_floor")
    if how == "asymmetric":
        return rounding == "floor"
    whole = all(out % size == 0 for size, out in zip(site.x.shape, site.shape, strict=True))
    return whole and how.endswith("half_pixel") and rounding.startswith("round")


@TRANSLATORS.of("DepthToSpace")
def _depth_to_space(site: Site) -> Operation | None:
    if site.arguments.get("mode", "DCR") != "CRD":
        return None
    return site.layer("pixel_shuffle", upscale_factor=site["blocksize"])
