"""PyTorch's operators, as torch.export writes them, and the layers of ours that compute the same.

A translator takes the `Site` of one operation. What it makes is checked against the shapes that
were traced; where it gives None, or what it makes does not fit, the operation is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from cnncalc.importing.operations import Operation, Unfit, Weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.importing.site import Site

    Translator = Callable[[Site], Any]

PASSED_ON = frozenset(
    (
        *("contiguous", "clone", "detach", "detach_copy", "alias", "positive", "type_as"),
        *("to", "_to_copy", "lift_fresh", "lift_fresh_copy", "_assert_tensor_metadata"),
    )
)
"""What changes no number."""

TRANSLATORS: dict[str, Translator] = {}
"""By the operator's name without its overload, and without the _ of one that works in place."""


def _aten(*names: str) -> Callable[[Translator], Translator]:
    def register(translate: Translator) -> Translator:
        TRANSLATORS.update(dict.fromkeys(names, translate))
        return translate

    return register


def _plain(kind: str, **renamed: str) -> Translator:
    """A layer whose fields are arguments of the operator, called as `renamed` says."""

    def translate(site: Site) -> Operation:
        return site.layer(kind, **{ours: site[theirs] for ours, theirs in renamed.items()})

    return translate


for _kind in "relu relu6 silu sigmoid hardsigmoid hardswish tanh mish selu".split():  # noqa: SIM905
    TRANSLATORS[_kind] = _plain(_kind)
TRANSLATORS |= {
    "gelu": _plain("gelu", approximate="approximate"),
    "leaky_relu": _plain("leaky_relu", negative_slope="negative_slope"),
    "pixel_shuffle": _plain("pixel_shuffle", upscale_factor="upscale_factor"),
    "channel_shuffle": _plain("channel_shuffle", groups="groups"),
    "native_channel_shuffle": _plain("channel_shuffle", groups="groups"),
    "softplus": _plain("softplus", beta="beta", threshold="threshold"),
    "dropout": lambda site: site.layer("dropout", p=site["p"]) if site["p"] else site.x,
    "feature_dropout": _plain("channel_dropout", p="p"),
}


@_aten(*PASSED_ON)
def _passed_on(site: Site) -> Operation:
    return site.x


@_aten("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d")
@_aten("conv_transpose3d")
def _conv(site: Site) -> Operation:
    weight = site["weight"]
    if not isinstance(weight, Weight):
        raise Unfit("its weight is computed from the input")
    fields = {name: site[name] for name in ("stride", "padding", "dilation", "groups")}
    fields["kernel_size"] = weight.shape[2:]
    fields["bias"] = site["bias"] is not None
    axes = len(weight.shape) - 2
    fields |= {
        name: value * axes if isinstance(value, list) and len(value) == 1 else value
        for name, value in fields.items()
    }
    weights = {"weight": weight, "bias": site["bias"]}
    if "transpose" in site.origin or site.arguments.get("transposed"):
        fields["output_padding"] = site["output_padding"]
        fields["out_channels"] = weight.shape[1] * site["groups"]
        return site.layer("conv_transpose", weights=weights, **fields)
    return site.layer("conv", weights=weights, out_channels=weight.shape[0], **fields)


@_aten("linear")
def _linear(site: Site) -> Operation:
    return _dense(site, site.x, site["weight"], site["bias"])


@_aten("addmm")
def _addmm(site: Site) -> Operation:
    return _dense(site, site["mat1"], _turned(site["mat2"]), site["self"])


@_aten("mm", "matmul")
def _matmul(site: Site) -> Operation:
    return _dense(site, site.x, _turned(site.arguments.get("mat2", site.arguments.get("other"))))


def _turned(weight: Any) -> Any:
    """A weight that was transposed on the way, as a linear layer keeps it."""
    if not isinstance(weight, Weight) or len(weight.shape) != 2:
        raise Unfit("multiplies two things that flow")
    return weight._replace(shape=weight.shape[::-1], derived=False)


def _dense(site: Site, x: Any, weight: Any, bias: Any = None) -> Operation:
    if not isinstance(weight, Weight) or not isinstance(x, Operation):
        raise Unfit("multiplies two things that flow")
    weights = {"weight": weight, "bias": bias}
    out, has_bias = weight.shape[0], bias is not None
    return site.layer("linear", x, weights=weights, out_features=out, bias=has_bias)


@_aten("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(site: Site) -> Operation:
    return _running_norm(site, "batch_norm", measures=bool(site.arguments.get("training")))


@_aten("instance_norm")
def _instance_norm(site: Site) -> Operation:
    return _running_norm(site, "instance_norm", measures=site["use_input_stats"])


def _running_norm(site: Site, kind: str, *, measures: bool) -> Operation:
    names = ("weight", "bias") if measures else ("weight", "bias", "running_mean", "running_var")
    return site.layer(
        kind,
        weights={name: site[name] for name in names},
        eps=site["eps"],
        momentum=site["momentum"],
        affine=site["weight"] is not None,
        track_running_stats=not measures,
    )


@_aten("layer_norm", "native_layer_norm")
def _layer_norm(site: Site) -> Operation:
    shape, normalized = site.x.shape, tuple(site["normalized_shape"])
    over = "channels" if len(shape) == 1 else "last" if len(normalized) == 1 else "sample"
    if normalized != (shape if over == "sample" else shape[-1:]):
        raise Unfit("normalises other axes")
    return site.layer(
        "layer_norm",
        weights={"weight": site["weight"], "bias": site["bias"]},
        over=over,
        eps=site["eps"],
        elementwise_affine=site["weight"] is not None,
        bias=site["bias"] is not None or site["weight"] is None,
    )


@_aten("group_norm", "native_group_norm")
def _group_norm(site: Site) -> Operation:
    return site.layer(
        "group_norm",
        weights={"weight": site["weight"], "bias": site["bias"]},
        num_groups=site.arguments.get("num_groups", site.arguments.get("group")),
        eps=site["eps"],
        affine=site["weight"] is not None,
    )


@_aten("prelu", "_prelu_kernel")
def _prelu(site: Site) -> Operation:
    weight = site["weight"]
    size = torch.Size(weight.shape).numel()
    return site.layer(
        "prelu", weights={"weight": weight._replace(shape=(size,))}, num_parameters=size
    )


@_aten("elu")
def _elu(site: Site) -> Operation | None:
    if (site["scale"], site["input_scale"]) != (1, 1):
        return None
    return site.layer("elu", alpha=float(site["alpha"]))


@_aten("hardtanh")
def _hardtanh(site: Site) -> Operation | None:
    return _clamped(site, site["min_val"], site["max_val"])


@_aten("clamp", "clamp_min")
def _clamp(site: Site) -> Operation | None:
    return _clamped(site, site["min"], site.arguments.get("max"))


def _clamped(site: Site, low: Any, high: Any) -> Operation | None:
    kinds = {(0, 6): "relu6", (0, None): "relu"}
    kind = kinds.get((low, high))
    return site.layer(kind) if kind else None


@_aten("softmax", "_softmax", "log_softmax", "_log_softmax")
def _softmax(site: Site) -> Operation:
    kind = "log_softmax" if "log" in site.origin else "softmax"
    return site.layer(kind, dim=_axis(site["dim"], site.x))


@_aten("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices")
def _max_pool(site: Site) -> Operation:
    names = ("kernel_size", "padding", "dilation", "ceil_mode")
    fields = {name: site[name] for name in names}
    return site.layer("max_pool", stride=site["stride"] or None, **fields)


@_aten("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(site: Site) -> Operation:
    names = ("kernel_size", "padding", "ceil_mode", "count_include_pad")
    fields = {name: site[name] for name in names}
    divisor = site.arguments.get("divisor_override")
    return site.layer("avg_pool", stride=site["stride"] or None, divisor_override=divisor, **fields)


@_aten("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@_aten("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
@_aten("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_pool(site: Site) -> Operation:
    mean = "avg" if "avg" in site.origin else "max"
    if {*site.shape[1:]} == {1}:
        return site.layer(f"global_{mean}_pool")
    return site.layer(f"adaptive_{mean}_pool", output_size=site["output_size"])


@_aten("mean", "amax")
def _over_places(site: Site) -> Operation | None:
    x = site.x
    dims = site["dim"] if isinstance(site["dim"], list) else [site["dim"]]
    if len(x.shape) < 2 or sorted(_axis(dim, x) for dim in dims) != [*range(2, len(x.shape) + 1)]:
        return None
    kind = "global_avg_pool" if "mean" in site.origin else "global_max_pool"
    pooled = site.layer(kind, output=(x.shape[0], *(1 for _ in x.shape[1:])))
    return pooled if site["keepdim"] else site.layer("flatten", pooled)


@_aten("flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "unflatten")
def _reshape(site: Site) -> Operation:
    x, shape = site.x, site.shape
    if x.shape == shape:
        return x
    if len(shape) == 1:
        return site.layer("flatten")
    if "flatten.using_ints" in site.origin and "un" not in site.origin:
        return site.layer("flatten", start_dim=site["start_dim"], end_dim=site["end_dim"])
    return site.layer("reshape", shape=shape)


@_aten("permute", "transpose", "t", "movedim", "swapaxes", "numpy_T")
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


@_aten("expand", "expand_as")
def _expand(site: Site) -> Operation | None:
    """Axes of length 1 made longer: a product does so by itself, and nothing else fits it."""
    return site.x if len(site.x.shape) == len(site.shape) else None


@_aten("cat", "concat", "concatenate")
def _cat(site: Site) -> Operation | None:
    tensors = site["tensors"]
    if not all(isinstance(each, Operation) for each in tensors):
        return None
    if _axis(site["dim"], tensors[0]) != 1:
        return None
    return site.layer("concat", *tensors) if len(tensors) > 1 else tensors[0]


@_aten("add")
def _add(site: Site) -> Operation | None:
    other = site["other"]
    if type(other) in (int, float) and other == 0:
        return site.x
    if site["alpha"] != 1:
        return None
    if isinstance(other, Operation) and isinstance(site["self"], Operation):
        return site.layer("add", site["self"], other)
    return None


@_aten("mul", "multiply")
def _mul(site: Site) -> Operation | None:
    x, other = site["self"], site["other"]
    if not isinstance(x, Operation):
        x, other = other, x
    if isinstance(other, Operation):
        return site.layer("multiply", x, other)
    if type(other) in (int, float) and other == 1:
        return site.x
    weight = _per_channel(other, x)
    return site.layer("layer_scale", x, weights={"weight": weight}) if weight else None


def _per_channel(weight: Any, x: Operation) -> Weight | None:
    """A weight that holds one number for each channel of `x`."""
    if not isinstance(weight, Weight):
        return None
    wanted = (x.shape[0], *(1 for _ in x.shape[1:]))
    shape = (1,) * (len(x.shape) - len(weight.shape)) + weight.shape
    return weight._replace(shape=wanted[:1]) if shape in (wanted, (1, *wanted)) else None


@_aten("chunk", "split", "split_with_sizes", "unsafe_chunk", "unsafe_split")
def _split(site: Site) -> list[Operation] | None:
    x = site.x
    if _axis(site["dim"], x) != 1:
        return None
    channels = x.shape[0]
    sizes: Any = site.arguments.get("split_sizes", site.arguments.get("split_size"))
    if "chunks" in site.arguments:
        sizes = -(-channels // site["chunks"])
    if isinstance(sizes, int):
        sizes = [min(sizes, channels - start) for start in range(0, channels, sizes)]
    parts, start = [], 0
    for size in sizes:
        parts.append(_channels(site, start, start + size))
        start += size
    return parts


def _channels(site: Site, start: int, stop: int) -> Operation:
    x = site.x
    end = None if stop >= x.shape[0] else stop
    shape = (stop - start, *x.shape[1:])
    return site.layer("slice", start=start, stop=end, output=shape)


@_aten("slice", "narrow")
def _slice(site: Site) -> Operation | None:
    x = site.x
    axis = _axis(site["dim"], x)
    size = x.shape[axis - 1]
    first = site["start"] or 0
    last = first + site["length"] if "length" in site.arguments else site["end"]
    start, stop, step = slice(first, last, site.arguments.get("step", 1)).indices(size)
    if (start, stop, step) == (0, size, 1):
        return x
    if step == 1 and axis == 1:
        return _channels(site, start, stop)
    if axis == 1 or ((start, stop) != (0, size) and step != 1):
        return None
    if step != 1:
        strides = [step if at == axis - 1 else 1 for at in range(1, len(x.shape))]
        return site.layer("max_pool", kernel_size=1, stride=strides)
    rings = [[start, size - stop] if at == axis - 1 else 0 for at in range(1, len(x.shape))]
    return site.layer("crop", cropping=rings)


@_aten("index", "index_select")
def _index(site: Site) -> Operation | None:
    given: Any = site.arguments.get("indices", [None, site.arguments.get("index")])
    before, *chosen = given
    if before is not None or len(chosen) != 1 or not isinstance(chosen[0], torch.Tensor):
        return None
    if site.arguments.get("dim", 1) != 1 or chosen[0].is_meta or chosen[0].dim() != 1:
        return None
    return site.layer("select", indices=chosen[0].tolist())


@_aten("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(site: Site) -> Operation | None:
    given: Any = site.arguments.get("pad", site.arguments.get("padding"))
    axes = len(site.x.shape) - 1
    pairs = [list(pair) for pair in zip(given[::2], given[1::2], strict=True)][::-1]
    if len(pairs) > axes:
        return None
    rings = [[0, 0]] * (axes - len(pairs)) + pairs
    if all(units <= 0 for ring in rings for units in ring):
        return site.layer("crop", cropping=_rings([[-a, -b] for a, b in rings]))
    mode, value = site.arguments.get("mode", "constant"), site.arguments.get("value") or 0.0
    if site.origin.startswith(("aten.refl", "aten.repl")):
        mode = "reflect" if "refl" in site.origin else "replicate"
    fields = {"mode": "zeros"} if mode == "constant" else {"mode": mode}
    if mode == "constant" and value:
        fields = {"mode": "constant", "value": float(value)}
    return site.layer("pad", padding=_rings(rings), **fields)


def _rings(rings: list[list[int]]) -> Any:
    """As short as may be: a number for all sides, or one for an axis whose sides are equal."""
    short = [a if a == b else [a, b] for a, b in rings]
    return short[0] if all(isinstance(r, int) and r == short[0] for r in short) else short


@_aten("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@_aten("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
def _upsample(site: Site) -> Operation:
    fields: dict[str, Any] = {}
    if "nearest" not in site.origin:
        fields = {"mode": "linear", "align_corners": bool(site["align_corners"]) or None}
    factors = site.arguments.get("scale_factors")
    if factors:
        factors = [int(factor) if factor == int(factor) else factor for factor in factors]
        return site.layer("upsample", scale_factor=factors, **fields)
    return site.layer("upsample", size=site.shape[1:], **fields)


def _axis(dim: int, x: Operation) -> int:
    """An axis counted from the batch, which is 0."""
    return dim % (len(x.shape) + 1)


FOLDED = frozenset({*PASSED_ON, "linear", "gelu", "relu", "silu", "layer_norm", "dropout", "add"})
"""What may be read where the first axis holds several rows of each sample."""
