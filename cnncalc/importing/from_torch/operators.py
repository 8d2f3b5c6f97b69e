"""PyTorch's operators, as torch.export writes them, and the layers of ours that compute the same.

A translator takes the `Site` of one operation. What it makes is checked against the shapes that
were traced; where it gives None, or what it makes does not fit, the operation is unknown.
"""

from __future__ import annotations

from typing import Any

import torch

from cnncalc.importing.sketch.operations import Operation, Unfit, Weight
from cnncalc.importing.sketch.site import Site, Translator, Translators, axis_of

PASSED_ON = frozenset(
    (
        *("contiguous", "clone", "detach", "detach_copy", "alias", "positive", "type_as"),
        *("to", "_to_copy", "lift_fresh", "lift_fresh_copy", "_assert_tensor_metadata"),
    )
)
"""What changes no number."""

TRANSLATORS = Translators()
"""By the operator's name without its overload, and without the _ of one that works in place."""


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


@TRANSLATORS.of(*PASSED_ON)
def _passed_on(site: Site) -> Operation:
    return site.x


@TRANSLATORS.of("conv1d", "conv2d", "conv3d", transposed=False)
@TRANSLATORS.of("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", transposed=True)
def _conv(site: Site, transposed: bool) -> Operation:
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
    if transposed:
        fields["output_padding"] = site["output_padding"]
        fields["out_channels"] = weight.shape[1] * site["groups"]
        return site.layer("conv_transpose", weights=weights, **fields)
    return site.layer("conv", weights=weights, out_channels=weight.shape[0], **fields)


@TRANSLATORS.of("convolution")
def _convolution(site: Site) -> Operation:
    return _conv(site, transposed=site["transposed"])


@TRANSLATORS.of("linear")
def _linear(site: Site) -> Operation:
    return _dense(site, site.x, site["weight"], site["bias"])


@TRANSLATORS.of("addmm")
def _addmm(site: Site) -> Operation:
    return _dense(site, site["mat1"], _turned(site["mat2"]), site["self"])


@TRANSLATORS.of("mm", "matmul")
def _matmul(site: Site) -> Operation:
    return _dense(site, site.x, _turned(site.arguments.get("mat2", site.arguments.get("other"))))


def _turned(weight: Any) -> Any:
    """A weight that was transposed on the way, as a linear layer keeps it."""
    if not isinstance(weight, Weight) or len(weight.shape) != 2:
        raise Unfit("multiplies two things that flow")
    return weight.transposed()


def _dense(site: Site, x: Any, weight: Any, bias: Any = None) -> Operation:
    if not isinstance(weight, Weight) or not isinstance(x, Operation):
        raise Unfit("multiplies two things that flow")
    weights = {"weight": weight, "bias": bias}
    out, has_bias = weight.shape[0], bias is not None
    return site.layer("linear", x, weights=weights, out_features=out, bias=has_bias)


@TRANSLATORS.of("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(site: Site) -> Operation:
    return _running_norm(site, "batch_norm", measures=bool(site.arguments.get("training")))


@TRANSLATORS.of("instance_norm")
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


@TRANSLATORS.of("layer_norm", "native_layer_norm")
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


@TRANSLATORS.of("group_norm", "native_group_norm")
def _group_norm(site: Site) -> Operation:
    return site.layer(
        "group_norm",
        weights={"weight": site["weight"], "bias": site["bias"]},
        num_groups=site.arguments.get("num_groups", site.arguments.get("group")),
        eps=site["eps"],
        affine=site["weight"] is not None,
    )


@TRANSLATORS.of("prelu", "_prelu_kernel")
def _prelu(site: Site) -> Operation:
    weight = site["weight"]
    size = torch.Size(weight.shape).numel()
    return site.layer(
        "prelu", weights={"weight": weight._replace(shape=(size,))}, num_parameters=size
    )


@TRANSLATORS.of("elu")
def _elu(site: Site) -> Operation | None:
    if (site["scale"], site["input_scale"]) != (1, 1):
        return None
    return site.layer("elu", alpha=float(site["alpha"]))


@TRANSLATORS.of("hardtanh")
def _hardtanh(site: Site) -> Operation | None:
    return _clamped(site, site["min_val"], site["max_val"])


@TRANSLATORS.of("clamp", "clamp_min")
def _clamp(site: Site) -> Operation | None:
    return _clamped(site, site["min"], site.arguments.get("max"))


def _clamped(site: Site, low: Any, high: Any) -> Operation | None:
    kinds = {(0, 6): "relu6", (0, None): "relu"}
    kind = kinds.get((low, high))
    return site.layer(kind) if kind else None


@TRANSLATORS.of("softmax", "_softmax", kind="softmax")
@TRANSLATORS.of("log_softmax", "_log_softmax", kind="log_softmax")
def _softmax(site: Site, kind: str) -> Operation:
    return site.layer(kind, dim=axis_of(site["dim"], site.x))


@TRANSLATORS.of("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices")
def _max_pool(site: Site) -> Operation:
    names = ("kernel_size", "padding", "dilation", "ceil_mode")
    fields = {name: site[name] for name in names}
    return site.layer("max_pool", stride=site["stride"] or None, **fields)


@TRANSLATORS.of("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(site: Site) -> Operation:
    names = ("kernel_size", "padding", "ceil_mode", "count_include_pad")
    fields = {name: site[name] for name in names}
    divisor = site.arguments.get("divisor_override")
    return site.layer("avg_pool", stride=site["stride"] or None, divisor_override=divisor, **fields)


@TRANSLATORS.of("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", of="avg")
@TRANSLATORS.of("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", of="avg")
@TRANSLATORS.of("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", of="max")
def _adaptive_pool(site: Site, of: str) -> Operation:
    if {*site.shape[1:]} == {1}:
        return site.layer(f"global_{of}_pool")
    return site.layer(f"adaptive_{of}_pool", output_size=site["output_size"])


@TRANSLATORS.of("mean", kind="global_avg_pool")
@TRANSLATORS.of("amax", kind="global_max_pool")
def _over_places(site: Site, kind: str) -> Operation | None:
    x = site.x
    dims = site["dim"] if isinstance(site["dim"], list) else [site["dim"]]
    if len(x.shape) < 2 or sorted(axis_of(dim, x) for dim in dims) != [*range(2, len(x.shape) + 1)]:
        return None
    pooled = site.layer(kind, output=(x.shape[0], *(1 for _ in x.shape[1:])))
    return pooled if site["keepdim"] else site.layer("flatten", pooled)


@TRANSLATORS.of("add")
def _add(site: Site) -> Operation | None:
    other = site["other"]
    if type(other) in (int, float) and other == 0:
        return site.x
    if site["alpha"] != 1:
        return None
    if isinstance(other, Operation) and isinstance(site["self"], Operation):
        return site.layer("add", site["self"], other)
    return None


@TRANSLATORS.of("mul", "multiply")
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


FOLDED = frozenset({*PASSED_ON, "linear", "gelu", "relu", "silu", "layer_norm", "dropout", "add"})
"""What may be read where the first axis holds several rows of each sample."""
