"""Hypothesis strategies: one for each layer kind, drawing its fields and the shapes that flow in.

Cases are small and sit in the corners (windows as large as their axis, uneven bins, strides over
kernels, one channel, one unit). Most fit together; some do not, so that refusals are drawn too.
Shapes are of one sample, fields are plain data as YAML gives it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy

Shape = tuple[int, ...]


class Case(NamedTuple):
    """A layer and what flows into it; joins have several shapes, other layers one."""

    kind: str
    fields: dict[str, Any]
    shapes: tuple[Shape, ...]


STRATEGIES: dict[str, SearchStrategy[Case]] = {}
"""A strategy of cases for every layer kind."""

BOOLEANS = st.booleans()
EPS = st.sampled_from([1e-5, 1e-3, 1.0])
RATIO = st.floats(0.01, 2.0)
NOT_POSITIVE = st.integers(-2, 0)


def sizes(axes: int) -> SearchStrategy[Shape]:
    """Lengths of so many spatial axes; few units where axes are many."""
    longest = {0: 1, 1: 12, 2: 9}.get(axes, 5 if axes == 3 else 2)
    return st.tuples(*[st.integers(1, longest)] * axes)


@st.composite
def shapes(draw: DrawFn, least: int = 0, most: int = 3, channels: int = 6) -> Shape:
    """`(C, *sizes)` with `least` to `most` spatial axes, and now and then a strange number."""
    axes = draw(st.integers(least, most))
    if draw(st.integers(0, 19)) == 19:
        axes = draw(st.integers(0, 5))
    return (draw(st.integers(1, channels)), *draw(sizes(axes)))


def per_axis(values: SearchStrategy[Any], axes: int) -> SearchStrategy[Any]:
    """One value for all axes, or a list of one for each; seldom of the wrong length."""
    listed = st.lists(values, min_size=axes, max_size=axes)
    wrong = st.lists(values, min_size=1, max_size=4)
    return st.integers(0, 19).flatmap(lambda n: values if n < 10 else listed if n < 19 else wrong)


def choice(common: SearchStrategy[Any], rare: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Mostly `common`; one time in twenty `rare`, which is often refused."""
    return st.integers(0, 19).flatmap(lambda n: common if n < 19 else rare)


def some_of(**fields: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Any of the fields, the others left to their defaults."""
    return st.fixed_dictionaries({}, optional=fields)


def divisor_of(number: int) -> SearchStrategy[int]:
    """A divisor; seldom any number."""
    divisors = [n for n in range(1, number + 1) if number % n == 0]
    return choice(st.sampled_from(divisors), st.integers(-1, 7))


def strategy(
    *kinds: str,
) -> Callable[[Callable[..., tuple[dict[str, Any], Any]]], Callable[..., Any]]:
    """Registers `function(draw, kind)`, which draws fields and a shape, for the kinds."""

    def register(function: Callable[..., tuple[dict[str, Any], Any]]) -> Callable[..., Any]:
        @st.composite
        def case(draw: DrawFn, kind: str) -> Case:
            fields, drawn = function(draw, kind)
            return Case(kind, fields, drawn if isinstance(drawn[0], tuple) else (drawn,))

        for kind in kinds:
            STRATEGIES[kind] = case(kind)
        return function

    return register


def _kernel(axes: int) -> SearchStrategy[Any]:
    return per_axis(choice(st.integers(1, 4 if axes < 3 else 3), st.integers(-1, 9)), axes)


def _stride(axes: int) -> SearchStrategy[Any]:
    return per_axis(choice(st.integers(1, 4), NOT_POSITIVE), axes)


def _padding(axes: int) -> SearchStrategy[Any]:
    ints = per_axis(choice(st.integers(0, 2), st.integers(-1, 12)), axes)
    return ints | st.sampled_from(["same", "same", "valid"])


def _dilation(axes: int) -> SearchStrategy[Any]:
    return per_axis(choice(st.integers(1, 3), NOT_POSITIVE), axes)


PADDING_MODES = st.sampled_from(["zeros", "reflect", "replicate", "circular"])


@strategy("conv", "depthwise_conv")
def _convolution(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    axes = len(x) - 1
    fields = draw(
        some_of(
            stride=_stride(axes),
            padding=_padding(axes),
            dilation=_dilation(axes),
            bias=BOOLEANS,
            padding_mode=PADDING_MODES,
        )
    )
    fields["kernel_size"] = draw(_kernel(axes))
    if kind == "depthwise_conv":
        return fields | draw(some_of(depth_multiplier=choice(st.integers(1, 3), NOT_POSITIVE))), x
    groups = draw(divisor_of(x[0]))
    out = draw(choice(st.integers(1, 3).map(lambda n: n * max(groups, 1)), st.integers(-1, 7)))
    return fields | draw(some_of(groups=st.just(groups))) | {"out_channels": out}, x


@strategy("conv_transpose")
def _conv_transpose(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    axes = len(x) - 1
    groups = draw(divisor_of(x[0]))
    fields = draw(
        some_of(
            stride=_stride(axes),
            padding=per_axis(choice(st.integers(0, 2), st.integers(-1, 9)), axes),
            output_padding=per_axis(choice(st.integers(0, 1), st.integers(-1, 5)), axes),
            groups=st.just(groups),
            bias=BOOLEANS,
            dilation=_dilation(axes),
        )
    )
    out = draw(choice(st.integers(1, 3).map(lambda n: n * max(groups, 1)), st.integers(-1, 7)))
    return fields | {"out_channels": out, "kernel_size": draw(_kernel(axes))}, x


@strategy("max_pool", "avg_pool")
def _pool(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    axes = len(x) - 1
    common = {
        "stride": _stride(axes) | st.none(),
        "padding": _padding(axes),
        "ceil_mode": BOOLEANS,
    }
    if kind == "max_pool":
        fields = draw(some_of(**common, dilation=_dilation(axes)))
    else:
        divisor = choice(st.integers(1, 9) | st.none(), st.integers(-1, 0))
        fields = draw(some_of(**common, count_include_pad=BOOLEANS, divisor_override=divisor))
    return fields | {"kernel_size": draw(_kernel(axes))}, x


@strategy("adaptive_avg_pool", "adaptive_max_pool")
def _adaptive_pool(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    size = choice(st.integers(1, 7), NOT_POSITIVE)
    listed = st.lists(size | st.none(), min_size=len(x) - 1, max_size=len(x) - 1)
    return {"output_size": draw(size | listed)}, x


@strategy("global_avg_pool", "global_max_pool", "channel_dropout")
def _of_images(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    fields = draw(some_of(p=_probability())) if kind == "channel_dropout" else {}
    return fields, draw(shapes(1))


def _probability() -> SearchStrategy[float]:
    return choice(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([-0.5, 1.5]))


@strategy("linear", "rbf")
def _linear(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    fields = {"out_features": draw(choice(st.integers(1, 9), st.just(-1)))}
    if kind == "rbf":
        return fields, draw(shapes(0, 0, 20))
    return fields | draw(some_of(bias=BOOLEANS)), draw(shapes())


@strategy("batch_norm", "instance_norm")
def _running_norm(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    fields = some_of(
        eps=EPS,
        momentum=st.sampled_from([None, 0.1, 0.01]),
        affine=BOOLEANS,
        track_running_stats=BOOLEANS,
    )
    return draw(fields), draw(shapes(0 if kind == "batch_norm" else 1))


@strategy("layer_norm")
def _layer_norm(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    over = st.sampled_from(["channels", "sample", "last"])
    return draw(some_of(over=over, eps=EPS, elementwise_affine=BOOLEANS, bias=BOOLEANS)), draw(
        shapes()
    )


@strategy("group_norm")
def _group_norm(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(channels=8))
    return {"num_groups": draw(divisor_of(x[0]))} | draw(some_of(eps=EPS, affine=BOOLEANS)), x


@strategy("local_response_norm")
def _local_response_norm(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    fields = draw(some_of(alpha=RATIO, beta=RATIO, k=RATIO))
    return fields | {"size": draw(choice(st.integers(1, 7), NOT_POSITIVE))}, draw(shapes(1))


@strategy("relu", "relu6", "selu", "silu", "mish", "sigmoid", "hardsigmoid", "hardswish", "tanh")
@strategy("identity")
def _without_fields(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    return {}, draw(shapes())


@strategy("leaky_relu", "elu", "gelu", "softplus")
def _activation(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    fields: dict[str, dict[str, SearchStrategy[Any]]] = {
        "leaky_relu": {"negative_slope": RATIO},
        "elu": {"alpha": RATIO},
        "gelu": {"approximate": st.sampled_from(["none", "tanh"])},
        "softplus": {"beta": RATIO, "threshold": st.sampled_from([1.0, 20.0])},
    }
    return draw(some_of(**fields[kind])), draw(shapes())


@strategy("prelu")
def _prelu(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    count = choice(st.sampled_from([1, x[0]]), st.integers(-1, 7))
    return draw(some_of(num_parameters=count, init=RATIO)), x


@strategy("softmax", "log_softmax")
def _softmax(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    axes = st.sampled_from([*range(1, len(x) + 1), *range(-len(x), 0)])
    return draw(some_of(dim=choice(axes, st.integers(-7, 7)))), x


@strategy("dropout", "stochastic_depth")
def _dropout(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    if kind == "dropout":
        return draw(some_of(p=_probability())), draw(shapes())
    fields = draw(some_of(mode=st.sampled_from(["row", "batch"])))
    return fields | {"p": draw(_probability())}, draw(shapes())


@strategy("flatten")
def _flatten(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    start, end = sorted(draw(st.tuples(*[st.integers(1, len(x))] * 2)))
    return draw(
        some_of(
            start_dim=choice(st.sampled_from([start, start - len(x) - 1]), st.integers(-7, 7)),
            end_dim=choice(st.sampled_from([end, end - len(x) - 1]), st.integers(-7, 7)),
        )
    ), x


@st.composite
def factors_of(draw: DrawFn, number: int) -> list[int]:
    """Lengths with so many numbers, one of them perhaps −1; seldom lengths that do not fit."""
    lengths = []
    rest = number
    for _ in range(draw(st.integers(0, 2))):
        lengths.append(draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0])))
        rest //= lengths[-1]
    lengths.insert(draw(st.integers(0, len(lengths))), rest)
    if draw(BOOLEANS):
        lengths[draw(st.integers(0, len(lengths) - 1))] = -1
    if draw(st.integers(0, 9)) == 9:
        lengths[draw(st.integers(0, len(lengths) - 1))] = draw(st.integers(-2, 5))
    return lengths


@strategy("reshape")
def _reshape(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    kept = draw(st.integers(0, len(x) - 1))
    return {"shape": [*x[:kept], *draw(factors_of(prod(x[kept:])))][:6]}, x


@strategy("unflatten")
def _unflatten(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(channels=12))
    dim = draw(st.integers(1, len(x)))
    fields = {"unflattened_size": draw(factors_of(x[dim - 1]))}
    if dim > 1 or draw(BOOLEANS):
        written = st.sampled_from([dim, dim - len(x) - 1])
        fields["dim"] = draw(choice(written, st.integers(-7, 7)))
    return fields, x


@strategy("permute")
def _permute(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    dims = st.permutations(range(1, len(x) + 1)).map(lambda order: [0, *order])
    wrong = st.lists(st.integers(-2, 4), min_size=2, max_size=4)
    return {"dims": draw(choice(dims, wrong))}, x


def _ring(axes: int, most: int) -> SearchStrategy[Any]:
    units = choice(st.integers(0, most), st.integers(-1, 9))
    pair = st.lists(units, min_size=2, max_size=2)
    return units | st.lists(units | pair, min_size=axes, max_size=axes)


@strategy("pad")
def _pad(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    modes = ["zeros", "constant", "reflect", "replicate", "circular"]
    fields = draw(some_of(mode=st.sampled_from(modes)))
    if fields.get("mode") == "constant" or draw(st.integers(0, 19)) == 19:
        fields |= draw(some_of(value=RATIO))
    return fields | {"padding": draw(_ring(len(x) - 1, 3))}, x


@strategy("crop")
def _crop(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    most = max((min(x[1:], default=1) - 1) // 2, 0)
    return {"cropping": draw(_ring(len(x) - 1, most))}, x


@strategy("upsample")
def _upsample(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1))
    axes = len(x) - 1
    factors = [1, 2, 3, 4, 1.5, 2.3, 2.5, 0.5, 0.7, 1.1, 1 / 3, 2 / 3, 4 / 3, 1 / 7]
    factor = choice(st.sampled_from(factors).map(float), st.sampled_from([0.0, -1.0, 0.01]))
    size = choice(st.integers(1, 13 if axes < 3 else 6), NOT_POSITIVE)
    fields = {
        "scale_factor": {"scale_factor": draw(per_axis(factor, axes))},
        "size": {"size": draw(per_axis(size, axes))},
        "both": {"scale_factor": 2.0, "size": 4},
        "neither": {},
    }[draw(choice(st.sampled_from(["scale_factor", "size"]), st.sampled_from(["both", "neither"])))]
    linear = ["linear", "bilinear", "trilinear"]
    own = linear[min(max(axes, 1), 3) - 1]
    mode = draw(choice(st.sampled_from(["nearest", own]), st.sampled_from(linear)))
    if mode != "nearest":
        fields["mode"] = mode
    if mode != "nearest" or draw(st.integers(0, 19)) == 19:
        fields |= draw(some_of(align_corners=BOOLEANS))
    return fields, x


@strategy("pixel_shuffle")
def _pixel_shuffle(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(2, 2))
    factor = draw(choice(st.integers(1, 3), NOT_POSITIVE))
    channels = draw(choice(st.just(x[0] * factor**2), st.just(x[0])))
    return {"upscale_factor": factor}, (max(channels, 1), *x[1:])


@strategy("channel_shuffle")
def _channel_shuffle(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(1, channels=12))
    return {"groups": draw(divisor_of(x[0]))}, x


@strategy("slice")
def _slice(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(channels=8))
    end = choice(st.integers(-x[0], x[0]), st.integers(-9, 9))
    start = choice(st.integers(0, x[0] - 1), end)
    return draw(some_of(start=start, stop=choice(st.none() | st.integers(1, x[0]), end))), x


@strategy("select")
def _select(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes(channels=8))
    index = choice(st.integers(-x[0], x[0] - 1), st.integers(-9, 9))
    return {"indices": draw(st.lists(index, min_size=1, max_size=5))}, x


@strategy("layer_scale", "channel_affine")
def _channel_affine(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    field = {"init": RATIO} if kind == "layer_scale" else {"bias": BOOLEANS}
    return draw(some_of(**field)), draw(shapes())


@strategy("add", "concat", "multiply")
def _join(draw: DrawFn, kind: str) -> tuple[dict[str, Any], Any]:
    x = draw(shapes())
    count = draw(st.integers(2, 4))
    operands = [x] * count
    if kind == "concat":
        operands = [(draw(st.integers(1, 4)), *x[1:]) for _ in operands]
    if kind == "multiply":
        operands = [tuple(draw(st.sampled_from([n, n, 1])) for n in x) for _ in operands]
    if draw(st.integers(0, 9)) == 9:
        operands[draw(st.integers(0, count - 1))] = draw(shapes())
    return {}, tuple(operands)
