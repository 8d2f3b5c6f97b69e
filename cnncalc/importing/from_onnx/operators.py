"""ONNX's operators and the layers of ours that compute the same; see `aten` for PyTorch's.

The inputs of a node are its arguments `in0`, `in1`, …; its attributes stand beside them.
"""

from __future__ import annotations

from math import prod
from typing import Any

from cnncalc.importing.sketch.operations import Operation, Unfit, Weight
from cnncalc.importing.sketch.site import Site, Translator, Translators

TRANSLATORS = Translators()
"""By the name of the operator."""


def _plain(kind: str, **defaults: Any) -> Translator:
    """A layer whose fields are attributes, called `ours=(theirs, default)`."""

    def translate(site: Site) -> Operation:
        fields = {ours: site.arguments.get(*theirs) for ours, theirs in defaults.items()}
        return site.layer(kind, **fields)

    return translate


TRANSLATORS |= {
    "Relu": _plain("relu"),
    "Sigmoid": _plain("sigmoid"),
    "HardSwish": _plain("hardswish"),
    "Tanh": _plain("tanh"),
    "Mish": _plain("mish"),
    "Selu": _plain("selu"),
    "Softplus": _plain("softplus"),
    "LeakyRelu": _plain("leaky_relu", negative_slope=("alpha", 0.01)),
    "Elu": _plain("elu", alpha=("alpha", 1.0)),
    "Gelu": _plain("gelu", approximate=("approximate", "none")),
    "GlobalAveragePool": _plain("global_avg_pool"),
    "GlobalMaxPool": _plain("global_max_pool"),
    "Identity": lambda site: site.x,
    "Cast": lambda site: site.x,
    "Dropout": lambda site: site.x,
}


@TRANSLATORS.of("Conv")
def _conv(site: Site) -> Operation:
    weight = _kept(site["in1"])
    axes = len(weight.shape) - 2
    x, padding = _padded(site, weight.shape[2:])
    return site.layer(
        "conv",
        x,
        weights={"weight": weight, "bias": site.arguments.get("in2")},
        out_channels=weight.shape[0],
        kernel_size=weight.shape[2:],
        stride=site.arguments.get("strides", [1] * axes),
        padding=padding,
        dilation=site.arguments.get("dilations", [1] * axes),
        groups=site.arguments.get("group", 1),
        bias=site.arguments.get("in2") is not None,
    )


def _kept(weight: Any) -> Weight:
    if not isinstance(weight, Weight):
        raise Unfit("its weight is computed from the input")
    return weight


def _padded(site: Site, kernel: Any) -> tuple[Operation, Any]:
    """The input and the padding of a window; uneven padding is a layer of its own."""
    auto = site.arguments.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return site.x, "same"
    if auto == "SAME_LOWER":
        raise Unfit("pads before, not after")
    axes = len(kernel)
    pads = site.arguments.get("pads", [0] * 2 * axes)
    before, after = pads[:axes], pads[axes:]
    if before == after or auto == "VALID":
        return site.x, [0] * axes if auto == "VALID" else before
    x = site.x
    rings = [[a, b] for a, b in zip(before, after, strict=True)]
    sizes = (n + a + b for n, (a, b) in zip(x.shape[1:], rings, strict=True))
    return site.layer("pad", x, padding=rings, output=(x.shape[0], *sizes)), [0] * axes


@TRANSLATORS.of("ConvTranspose")
def _conv_transpose(site: Site) -> Operation:
    weight = _kept(site["in1"])
    axes = len(weight.shape) - 2
    pads = site.arguments.get("pads", [0] * 2 * axes)
    groups = site.arguments.get("group", 1)
    if pads[:axes] != pads[axes:] or site.arguments.get("auto_pad", "NOTSET") != "NOTSET":
        raise Unfit("pads unevenly")
    return site.layer(
        "conv_transpose",
        weights={"weight": weight, "bias": site.arguments.get("in2")},
        out_channels=weight.shape[1] * groups,
        kernel_size=weight.shape[2:],
        stride=site.arguments.get("strides", [1] * axes),
        padding=pads[:axes],
        output_padding=site.arguments.get("output_padding", [0] * axes),
        dilation=site.arguments.get("dilations", [1] * axes),
        groups=groups,
        bias=site.arguments.get("in2") is not None,
    )


@TRANSLATORS.of("Gemm")
def _gemm(site: Site) -> Operation:
    weight = _kept(site["in1"])
    if (site.arguments.get("alpha", 1.0), site.arguments.get("beta", 1.0)) != (1.0, 1.0):
        raise Unfit("scales what it adds")
    if site.arguments.get("transA", 0):
        raise Unfit("turns its input")
    if not site.arguments.get("transB", 0):
        weight = weight.transposed()
    bias = site.arguments.get("in2")
    weights = {"weight": weight, "bias": bias}
    return site.layer(
        "linear", weights=weights, out_features=weight.shape[0], bias=bias is not None
    )


@TRANSLATORS.of("MatMul")
def _matmul(site: Site) -> Operation:
    weight = _kept(site["in1"])
    weight = weight.transposed()
    return site.layer(
        "linear", weights={"weight": weight}, out_features=weight.shape[0], bias=False
    )


@TRANSLATORS.of("BatchNormalization")
def _batch_norm(site: Site) -> Operation:
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: site[f"in{index}"] for index, name in enumerate(names, start=1)}
    return site.layer(
        "batch_norm", weights=weights, eps=_short(site.arguments.get("epsilon", 1e-5))
    )


@TRANSLATORS.of("InstanceNormalization", "GroupNormalization")
def _group_norm(site: Site) -> Operation:
    weights = {"weight": site["in1"], "bias": site["in2"]}
    eps = _short(site.arguments.get("epsilon", 1e-5))
    if site.origin == "GroupNormalization":
        return site.layer("group_norm", weights=weights, num_groups=site["num_groups"], eps=eps)
    return site.layer("instance_norm", weights=weights, affine=True, eps=eps)


@TRANSLATORS.of("LayerNormalization")
def _layer_norm(site: Site) -> Operation:
    shape = site.x.shape
    axis = site.arguments.get("axis", -1)
    first = axis - 1 if axis > 0 else axis + len(shape)
    over = {0: "sample", len(shape) - 1: "last"}[first]
    bias = site.arguments.get("in2")
    return site.layer(
        "layer_norm",
        weights={"weight": site["in1"], "bias": bias},
        over="channels" if len(shape) == 1 else over,
        eps=_short(site.arguments.get("epsilon", 1e-5)),
        bias=bias is not None,
    )


@TRANSLATORS.of("LRN")
def _response_norm(site: Site) -> Operation:
    return site.layer(
        "local_response_norm",
        size=site["size"],
        alpha=_short(site.arguments.get("alpha", 1e-4)),
        beta=_short(site.arguments.get("beta", 0.75)),
        k=_short(site.arguments.get("bias", 1.0)),
    )


def _short(value: float) -> float:
    """A float of 32 bits by its shortest decimal: 1e-05, not 9.999999747378752e-06."""
    return float(f"{value:.7g}")


@TRANSLATORS.of("HardSigmoid")
def _hardsigmoid(site: Site) -> Operation | None:
    alpha, beta = site.arguments.get("alpha", 0.2), site.arguments.get("beta", 0.5)
    usual = abs(alpha - 1 / 6) < 1e-6 and beta == 0.5
    return site.layer("hardsigmoid") if usual else None


@TRANSLATORS.of("Clip")
def _clip(site: Site) -> Operation | None:
    bounds = []
    for name, place in (("min", "in1"), ("max", "in2")):
        value = site.arguments.get(place, site.arguments.get(name))
        bounds.append(None if value is None else float(value))
    kinds: dict[Any, str] = {(0.0, 6.0): "relu6", (0.0, None): "relu"}
    kind = kinds.get((bounds[0], bounds[1]))
    return site.layer(kind) if kind else None


@TRANSLATORS.of("PRelu")
def _prelu(site: Site) -> Operation:
    weight = _kept(site["in1"])
    size = prod(weight.shape)
    weights = {"weight": weight._replace(shape=(size,))}
    return site.layer("prelu", weights=weights, num_parameters=size)


@TRANSLATORS.of("Softmax", "LogSoftmax")
def _softmax(site: Site) -> Operation:
    default = 1 if site["opset"] < 13 else -1
    dim = site.arguments.get("axis", default) % (len(site.x.shape) + 1)
    return site.layer("softmax" if site.origin == "Softmax" else "log_softmax", dim=dim)


@TRANSLATORS.of("MaxPool", "AveragePool")
def _pool(site: Site) -> Operation:
    kernel = site["kernel_shape"]
    fields: dict[str, Any] = {"ceil_mode": bool(site.arguments.get("ceil_mode", 0))}
    if site.origin == "MaxPool":
        fields["dilation"] = site.arguments.get("dilations", [1] * len(kernel))
    else:
        fields["count_include_pad"] = bool(site.arguments.get("count_include_pad", 0))
    auto = site.arguments.get("auto_pad", "NOTSET")
    pads = site.arguments.get("pads", [0] * 2 * len(kernel))
    padding = {"SAME_UPPER": "same", "VALID": [0] * len(kernel)}.get(auto, pads[: len(kernel)])
    if auto == "NOTSET" and pads[: len(kernel)] != pads[len(kernel) :]:
        raise Unfit("pads unevenly")
    if "count_include_pad" in fields and not any(pads) and padding != "same":
        fields["count_include_pad"] = True  # there is none: the default will do
    stride = site.arguments.get("strides", [1] * len(kernel))
    kind = "max_pool" if site.origin == "MaxPool" else "avg_pool"
    return site.layer(kind, kernel_size=kernel, stride=stride, padding=padding, **fields)


@TRANSLATORS.of("ReduceMean", "ReduceMax")
def _reduce(site: Site) -> Operation | None:
    x = site.x
    given: Any = site.arguments.get("axes", site.arguments.get("in1"))
    axes = sorted(int(axis) % (len(x.shape) + 1) for axis in given)
    if len(x.shape) < 2 or axes != [*range(2, len(x.shape) + 1)]:
        return None
    kind = "global_avg_pool" if site.origin == "ReduceMean" else "global_max_pool"
    pooled = site.layer(kind, output=(x.shape[0], *(1 for _ in x.shape[1:])))
    return pooled if site.arguments.get("keepdims", 1) else site.layer("flatten", pooled)


@TRANSLATORS.of("Add", "Mul", "Sum")
def _arithmetic(site: Site) -> Operation | None:
    first, second = site["in0"], site["in1"]
    if "in2" in site.arguments:
        return None
    if not isinstance(first, Operation):
        first, second = second, first
    if isinstance(second, Operation):
        return site.layer("multiply" if site.origin == "Mul" else "add", first, second)
    if not isinstance(second, Weight):
        return None
    if site.origin == "Mul":
        wanted = (first.shape[0], *(1 for _ in first.shape[1:]))
        if second.shape not in (wanted, (1, *wanted)):
            return None
        return site.layer(
            "layer_scale", first, weights={"weight": second._replace(shape=wanted[:1])}
        )
    return _with_bias(site, first, second)


def _with_bias(site: Site, product: Operation, bias: Weight) -> Operation | None:
    """A linear layer whose bias is added by a node of its own."""
    if product.kind != "linear" or "bias" in product.weights or bias.shape != product.shape[-1:]:
        return None
    fields = {name: value for name, value in product.fields.items() if name != "bias"}
    return site.layer(
        "linear", *product.inputs, weights={**product.weights, "bias": bias}, **fields
    )
