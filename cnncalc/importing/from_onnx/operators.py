"""ONNX's operators and the layers of ours that compute the same; see `aten` for PyTorch's.

The inputs of a node are its arguments `in0`, `in1`, …; its attributes stand beside them.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

from cnncalc.importing.sketch.operations import Operation, Unfit, Weight
from cnncalc.importing.sketch.site import Site, Translator, Translators

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSLATORS = Translators()
"""By the name of the operator."""
FLOATS = frozenset((1, 10, 11, 16))
"""ONNX's types of weights: float, float16, double, bfloat16."""
SELU = (1.6732632, 1.0507010)
"""alpha and gamma (scale) of PyTorch's SELU."""


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
    "Softplus": _plain("softplus"),
    "LeakyRelu": _plain("leaky_relu", negative_slope=("alpha", 0.01)),
    "Elu": _plain("elu", alpha=("alpha", 1.0)),
    "Gelu": _plain("gelu", approximate=("approximate", "none")),
    "GlobalAveragePool": _plain("global_avg_pool"),
    "GlobalMaxPool": _plain("global_max_pool"),
    "Identity": lambda site: site.x,
}


@TRANSLATORS.of("Dropout", ignoring=("ratio", "seed", "in1", "is_test"))
def _dropout(site: Site) -> Operation | None:
    training: Any = site.arguments.get("in2")
    return None if training is not None and bool(training) else site.x


@TRANSLATORS.of("Cast", ignoring=("saturate", "round_mode"))
def _cast(site: Site) -> Operation | None:
    return site.x if site["to"] in FLOATS else None  # others lose numbers


@TRANSLATORS.of("Selu")
def _selu(site: Site) -> Operation | None:
    given = (site.arguments.get("alpha", SELU[0]), site.arguments.get("gamma", SELU[1]))
    usual = all(abs(value - known) < 1e-4 for value, known in zip(given, SELU, strict=True))
    return site.layer("selu") if usual else None


@TRANSLATORS.of("Conv", ignoring=("kernel_shape",))  # that of the weight, or the shapes differ
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


@TRANSLATORS.of("ConvTranspose", ignoring=("kernel_shape",))
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


@TRANSLATORS.of("BatchNormalization", ignoring=("momentum",))
def _batch_norm(site: Site) -> Operation | None:
    if site.arguments.get("training_mode", 0) or not site.arguments.get("spatial", 1):
        return None
    statistics = {"running_mean": site["in3"], "running_var": site["in4"]}
    learnt = _learnt(site)
    return site.layer(
        "batch_norm",
        weights={**learnt, **statistics},
        eps=_short(site.arguments.get("epsilon", 1e-5)),
        affine=bool(learnt),
    )


@TRANSLATORS.of("GroupNormalization", ignoring=("stash_type",))
def _group_norm(site: Site) -> Operation:
    return _measuring_norm(site, "group_norm", num_groups=site["num_groups"])


@TRANSLATORS.of("InstanceNormalization")
def _instance_norm(site: Site) -> Operation:
    return _measuring_norm(site, "instance_norm")


def _measuring_norm(site: Site, kind: str, **fields: Any) -> Operation:
    eps = _short(site.arguments.get("epsilon", 1e-5))
    learnt = _learnt(site)
    return site.layer(kind, weights=learnt, eps=eps, affine=bool(learnt), **fields)


def _learnt(site: Site) -> dict[str, Any]:
    """Weight and bias of a norm; none where they are the ones and zeros that an exporter writes for
    a norm without: ONNX's norms always have them.
    """
    weights = {"weight": site["in1"], "bias": site["in2"]}
    stands_in = all(
        isinstance(weight, Weight) and weight.filled == value and not _is_named(weight.name)
        for weight, value in zip(weights.values(), (1.0, 0.0), strict=True)
    )
    return {} if stands_in else weights


def _is_named(name: str) -> bool:
    """Whether it is called as a parameter is."""
    words = re.findall("[a-z]+", name.lower())
    return not {"weight", "bias", "gamma", "beta", "scale", "shift", "w", "b"}.isdisjoint(words)


@TRANSLATORS.of("LayerNormalization", ignoring=("stash_type",))
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


@TRANSLATORS.of("Softmax", kind="softmax")
@TRANSLATORS.of("LogSoftmax", kind="log_softmax")
def _softmax(site: Site, kind: str) -> Operation | None:
    axes, old = len(site.x.shape) + 1, site["opset"] < 13
    dim = site.arguments.get("axis", 1 if old else -1) % axes
    if old and dim != axes - 1:
        return None  # one sum over all axes from this one on
    return site.layer(kind, dim=dim)


@TRANSLATORS.of("MaxPool", ignoring=("storage_order",))
def _max_pool(site: Site) -> Operation:
    dilation = site.arguments.get("dilations", [1] * len(site["kernel_shape"]))
    return _pool(site, "max_pool", dilation=dilation)


@TRANSLATORS.of("AveragePool")
def _avg_pool(site: Site) -> Operation:
    counted = bool(site.arguments.get("count_include_pad", 0))
    padded = any(site.arguments.get("pads", ())) or site.arguments.get("auto_pad") == "SAME_UPPER"
    return _pool(site, "avg_pool", count_include_pad=counted or not padded)


def _pool(site: Site, kind: str, **fields: Any) -> Operation:
    kernel = site["kernel_shape"]
    auto = site.arguments.get("auto_pad", "NOTSET")
    pads = site.arguments.get("pads", [0] * 2 * len(kernel))
    padding = {"SAME_UPPER": "same", "VALID": [0] * len(kernel)}.get(auto, pads[: len(kernel)])
    if auto == "NOTSET" and pads[: len(kernel)] != pads[len(kernel) :]:
        raise Unfit("pads unevenly")
    return site.layer(
        kind,
        kernel_size=kernel,
        stride=site.arguments.get("strides", [1] * len(kernel)),
        padding=padding,
        ceil_mode=bool(site.arguments.get("ceil_mode", 0)),
        **fields,
    )


@TRANSLATORS.of("ReduceMean", kind="global_avg_pool", ignoring=("noop_with_empty_axes",))
@TRANSLATORS.of("ReduceMax", kind="global_max_pool", ignoring=("noop_with_empty_axes",))
def _reduce(site: Site, kind: str) -> Operation | None:
    x = site.x
    given: Any = site.arguments.get("axes", site.arguments.get("in1"))
    axes = sorted(int(axis) % (len(x.shape) + 1) for axis in given)
    if len(x.shape) < 2 or axes != [*range(2, len(x.shape) + 1)]:
        return None
    pooled = site.layer(kind, output=(x.shape[0], *(1 for _ in x.shape[1:])))
    return pooled if site.arguments.get("keepdims", 1) else site.layer("flatten", pooled)


def _scaled(site: Site, x: Operation, scale: Weight) -> Operation | None:
    """Each channel times a weight."""
    wanted = (x.shape[0], *(1 for _ in x.shape[1:]))
    if scale.shape not in (wanted, (1, *wanted)):
        return None
    return site.layer("layer_scale", x, weights={"weight": scale._replace(shape=wanted[:1])})


def _with_bias(site: Site, product: Operation, bias: Weight) -> Operation | None:
    """A linear layer whose bias is added by a node of its own."""
    if product.kind != "linear" or "bias" in product.weights or bias.shape != product.shape[-1:]:
        return None
    fields = {name: value for name, value in product.fields.items() if name != "bias"}
    return site.layer(
        "linear", *product.inputs, weights={**product.weights, "bias": bias}, **fields
    )


@TRANSLATORS.of("Add", "Sum", kind="add", with_weight=_with_bias)
@TRANSLATORS.of("Mul", kind="multiply", with_weight=_scaled)
def _of_two(
    site: Site, kind: str, with_weight: Callable[[Site, Operation, Weight], Operation | None]
) -> Operation | None:
    first, second = site["in0"], site["in1"]
    if "in2" in site.arguments:
        return None
    if not isinstance(first, Operation):
        first, second = second, first
    if isinstance(second, Operation):
        return site.layer(kind, first, second)
    return with_weight(site, first, second) if isinstance(second, Weight) else None
