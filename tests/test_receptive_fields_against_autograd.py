"""Receptive fields, unit by unit, against the gradients of the real modules.

A unit sees a pixel if the gradient of its output by that pixel is not zero; its field is the
hull of those pixels (dilated kernels have holes). Weights and inputs are positive and random, in
float64, so that nothing cancels; a layer that hides paths at random (a max pool, an activation
with a flat part) is replaced by one that sees the same and hides nothing.

At the border fields are not clipped to the image: an evenly spaced field goes on into the padding
as if there were pixels. So

- what a unit sees always lies within its field, cut off at the image;
- a field that lies inside the image is exact;
- a field that does not is exact when cut off at the image as long as all steps and dilations
  are 1; else the image's edge may fall into a hole of the layers below.

Three things escape the rule, and the networks drawn here avoid them: padding after a crop, or a
window rounded up into it (the field counts the pixels that were cut away); padding that is not
zeros (its content is pixels from elsewhere, which the field does not follow); channels chosen from
a concat (a field is that of all channels of a tensor). After an uneven field (transposed
convolution, upsampling, uneven bins) the padding adds nothing, and the field is exact there too;
so is every field that is followed from the image's edges on (`clipped`).
"""

from __future__ import annotations

import warnings
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from strategies import STRATEGIES, Case
from support import examples, network

import cnncalc
from cnncalc.analysis.analyze import fields_of
from cnncalc.errors import SpecError
from cnncalc.layers import registry
from cnncalc.layers.activation import Softmax
from cnncalc.layers.base import Elementwise
from cnncalc.layers.merge import Merge
from cnncalc.layers.norm import LocalResponseNorm, Norm
from cnncalc.layers.relu import Prelu
from cnncalc.network.expansion import build_graph
from cnncalc.network.names import INPUT

torch = pytest.importorskip("torch", reason="receptive fields are compared with gradients")

from cnncalc.verification.fields.transparent import transparent  # noqa: E402

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from cnncalc.layers.base import Layer
    from cnncalc.maths.receptive_fields import Field
    from cnncalc.network.graph import Graph, Node

Interval = tuple[int, int]
TOLERANCE = 1e-13
"""Of a unit's largest gradient: below it stands what floats make of an interpolation's 0."""


def module_of(layer: Layer, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The layer's module, or one that sees the same and hides nothing; positive weights."""
    if isinstance(layer, Elementwise) and not isinstance(layer, Norm | Prelu | Softmax):
        return torch.nn.LeakyReLU(0.5)
    return transparent(layer, shapes)


def outputs_of(graph: Graph) -> dict[int, Any]:
    """The output of each node for one random image.

    It is scaled, so that nothing saturates, and each number a little otherwise, so that nothing
    cancels: the mean behind a norm, the sum of a softmax.
    """
    outputs = {INPUT: torch.rand(1, *graph.input_shape, dtype=torch.float64).requires_grad_()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `same` padding of even kernels
        for node in graph.nodes:
            module = module_of(node.layer, node.input_shapes)
            try:
                y = module(*(outputs[index] for index in node.inputs))
            except ValueError as error:
                assert "more than 1 value per channel" in str(error)  # noqa: PT017
                reject()
            if is_constant(node.layer, y):
                reject()
            # Without contiguous() PyTorch 2.15 errs in BatchNorm3d's gradient behind a permute.
            scale = (torch.rand_like(y) + 0.5) / y.detach().abs().max().clamp(min=1e-9)
            outputs[node.number] = y.contiguous() * scale
    return outputs


def is_constant(layer: Layer, y: Any) -> bool:
    """Whether a norm or softmax measured equal numbers only, or one: its gradient is none."""
    if isinstance(layer, Softmax):
        return bool((y.exp() if layer.kind == "log_softmax" else y).max() > 1 - 1e-9)
    measures = isinstance(layer, Norm) and not isinstance(layer, LocalResponseNorm)
    if not measures or getattr(layer, "track_running_stats", False):
        return False
    return bool(y.detach().abs().min() < 1e-9)


def seen_pixels(outputs: dict[int, Any], node: Node, axis: int, field: Field) -> list[list[int]]:
    """The pixels along input axis `axis` on which each unit of the field depends."""
    y = outputs[node.number][0]
    units = y.unbind(field.axis) if field.axis is not None else [y]
    pixels = []
    for unit in units:
        (gradient,) = torch.autograd.grad(unit.sum(), outputs[INPUT], retain_graph=True)
        strength = gradient[0].abs().movedim(axis, 0).flatten(1).amax(1)
        seen = strength > TOLERANCE * strength.max()
        pixels.append(seen.nonzero().flatten().tolist())
    return pixels


def check(graph: Graph, *, interior_only: bool = False) -> int:
    """Compares every node; returns how many fields lay inside the image, and were exact."""
    outputs, fields = outputs_of(graph), fields_of(graph)
    clipped = fields_of(graph, clipped=True)
    dense = all(is_dense(node.layer) for node in graph.nodes)
    exact = 0
    for node in graph.nodes:
        for axis, (field, size) in enumerate(
            zip(fields[node.number], graph.input_shape[1:], strict=True), start=1
        ):
            units = seen_pixels(outputs, node, axis, field)
            if not any(units):
                continue  # of nothing but padding, perhaps along another axis
            for unit, pixels in enumerate(units):
                interval = field.interval(unit)
                where = f"{node.name}, input axis {axis}, unit {unit}"
                exact += compare(interval, pixels, size, where, dense, interior_only)
                seen = clipped[node.number][axis - 1]
                if seen.axis == field.axis and not interior_only:
                    compare(seen.interval(unit), pixels, size, f"{where}, clipped", dense, False)
    return exact


def compare(
    interval: Interval,
    pixels: list[int],
    size: int,
    where: str,
    dense: bool,
    interior_only: bool,
) -> bool:
    low, high = interval
    inside = low >= 0 and high < size
    if inside:
        hull = (pixels[0], pixels[-1]) if pixels else "nothing"
        assert (hull if low <= high else pixels) == (interval if low <= high else []), where
    elif pixels and not interior_only:
        clipped = (max(low, 0), min(high, size - 1))
        assert clipped[0] <= pixels[0], where
        assert pixels[-1] <= clipped[1], where
        if dense:
            assert clipped == (pixels[0], pixels[-1]), where
    return inside


def is_dense(layer: Layer) -> bool:
    """Whether neighbouring units of the layer see all that lies between what they see."""
    if layer.kind in ("conv_transpose", "upsample", "adaptive_avg_pool", "adaptive_max_pool"):
        return False
    stride = getattr(layer, "stride", 1) or getattr(layer, "kernel_size", 1)
    steps = (stride, getattr(layer, "dilation", 1))
    return all(set(step if isinstance(step, tuple) else (step,)) == {1} for step in steps)


def graph_of(spec: dict[str, Any]) -> Graph:
    return build_graph(cnncalc.load(spec))


# --- single layers: every kind, in the corners that the strategies draw ---------------------------


KINDS = sorted(kind for kind, cls in registry().items() if not issubclass(cls, Merge))
EXAMPLES = {"conv_transpose": 100, "upsample": 100}
EXAMPLES |= dict.fromkeys(("conv", "depthwise_conv", "max_pool", "avg_pool", "pad"), 50)
EXAMPLES |= dict.fromkeys(("adaptive_avg_pool", "reshape", "unflatten", "flatten", "permute"), 40)
EXAMPLES |= dict.fromkeys((kind for kind in KINDS if "norm" in kind or "softmax" in kind), 40)


def is_comparable(case: Case) -> bool:
    return len(case.shapes[0]) <= 4 and prod(case.shapes[0]) <= 400


@pytest.mark.drawn
@pytest.mark.parametrize("kind", KINDS)
def test_field_of_one_layer(kind: str) -> None:
    number = examples(EXAMPLES.get(kind, 20))
    compared = 0

    @settings(max_examples=number)
    @given(STRATEGIES[kind].filter(is_comparable))
    def run(case: Case) -> None:
        nonlocal compared
        shape, layers = [*case.shapes[0]], [{kind: case.fields}]
        if len(shape) == 1:  # a vector has no image behind it: give it one
            shape, layers = [1, *shape], ["flatten", *layers]
        try:
            graph = graph_of(network(shape, *layers))
        except SpecError:
            return
        mode = case.fields.get("padding_mode", case.fields.get("mode"))
        check(graph, interior_only=mode in ("reflect", "replicate", "circular"))
        compared += 1

    run()
    assert compared >= number // 2


# --- networks: chains of such layers, and joins of branches ---------------------------------------

MAX_UNITS = 40


def windows(axes: int, *, padded: bool) -> SearchStrategy[dict[str, Any]]:
    def each(low: int, high: int) -> SearchStrategy[Any]:
        numbers = st.integers(low, high)
        return numbers | st.lists(numbers, min_size=axes, max_size=axes)

    options = {"stride": each(1, 3), "dilation": each(1, 3)}
    if padded:
        options["padding"] = each(0, 3) | st.sampled_from(["same", "valid"])
    return st.fixed_dictionaries({"kernel_size": each(1, 4)}, optional=options)


def items(axes: int, *, padded: bool) -> SearchStrategy[dict[str, Any]]:
    """One layer of a network whose images have `axes` axes."""
    window = windows(axes, padded=padded)
    pool = window.map(lambda fields: {k: v for k, v in fields.items() if k != "dilation"})
    ceil = st.fixed_dictionaries({"ceil_mode": st.booleans() if padded else st.just(False)})
    number = st.integers(1, 3)
    transposed = st.fixed_dictionaries(
        {"out_channels": st.just(2), "kernel_size": st.integers(1, 4)},
        optional={
            "stride": number,
            "padding": st.integers(0, 2),
            "dilation": number,
            "output_padding": st.integers(0, 2),
        },
    )
    linear = ("linear", "bilinear", "trilinear")[axes - 1]
    upsample = st.one_of(
        st.fixed_dictionaries({"scale_factor": st.sampled_from([2.0, 3.0, 1.5, 0.5])}),
        st.fixed_dictionaries({"size": st.integers(1, 20)}),
    ).flatmap(
        lambda fields: st.sampled_from(
            [fields, {**fields, "mode": linear}, {**fields, "mode": linear, "align_corners": True}]
        )
    )
    kinds: dict[str, SearchStrategy[Any]] = {
        "conv": window.map(lambda fields: {"out_channels": 2, **fields}),
        "depthwise_conv": window,
        "grouped": st.just({"out_channels": 4, "kernel_size": 1, "groups": 2}),
        "multiplied": st.just({"kernel_size": 1, "depth_multiplier": 2}),
        "max_pool": st.tuples(window, ceil).map(lambda pair: pair[0] | pair[1]),
        "avg_pool": st.tuples(pool, ceil).map(lambda pair: pair[0] | pair[1]),
        "conv_transpose": transposed,
        "upsample": upsample,
        "adaptive_avg_pool": st.fixed_dictionaries({"output_size": st.integers(1, 9)}),
        # With a small eps a norm undoes all scaling, and its gradient with it.
        "layer_norm": st.sampled_from([{"over": o, "eps": 1.0} for o in ("channels", "last")]),
        "group_norm": st.sampled_from([{"num_groups": n, "eps": 1.0} for n in (1, 2)]),
        "local_response_norm": st.sampled_from([{"size": 2}, {"size": 3}]),
        "batch_norm": st.just({}),
        "relu": st.just({}),
        "slice": st.sampled_from([{"start": 1}, {"stop": 2}, {"start": -2}]),
        "select": st.sampled_from([{"indices": [1, 0]}, {"indices": [-1, 0, 0]}]),
        "channel_shuffle": st.just({"groups": 2}),
        "permute": st.permutations(range(1, axes + 2)).map(lambda dims: {"dims": [0, *dims]}),
    }
    if padded:
        ring = st.lists(st.integers(0, 2), min_size=2, max_size=2)
        kinds["pad"] = st.lists(ring, min_size=axes, max_size=axes).map(lambda p: {"padding": p})
    else:
        kinds["crop"] = st.integers(1, 2).map(lambda units: {"cropping": units})
    if axes == 2:
        kinds["pixel_shuffle"] = st.just({"upscale_factor": 1})
    names = {"grouped": "conv", "multiplied": "depthwise_conv"}
    return st.sampled_from([*kinds]).flatmap(
        lambda name: kinds[name].map(lambda fields: {names.get(name, name): fields})
    )


def conv(out: int, kernel: int, **fields: Any) -> dict[str, Any]:
    return {"conv": {"out_channels": out, "kernel_size": kernel, **fields}}


def branches(axes: int) -> SearchStrategy[list[Any]]:
    """A branch that keeps the shape of an image of two channels, if its sizes allow."""
    pool: dict[str, Any] = {"max_pool": {"kernel_size": 2}}
    double: dict[str, Any] = {"upsample": 2.0}
    grow = {"conv_transpose": {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": 1}}
    grow["conv_transpose"]["output_padding"] = 1
    return st.sampled_from(
        [
            [],
            [conv(2, 3, padding=1), "relu"],
            [conv(2, 3, padding="same", dilation=2)],
            [conv(2, 2, padding="same"), {"depthwise_conv": {"kernel_size": 4, "padding": "same"}}],
            [{"avg_pool": {"kernel_size": 3, "stride": 1, "padding": 1}}, conv(2, 1)],
            [pool, double],
            [pool, conv(2, 3, padding=1), grow],
            [conv(2, 3, stride=2, padding=1), {**double}, conv(2, 3, padding=1)],
            [pool, {"residual": [conv(2, 3, padding=1)]}, double],
            [{"instance_norm": {"eps": 1.0}}],
        ]
    )


@st.composite
def joins(draw: DrawFn, axes: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["add", "concat", "multiply", "excite"]))
    if kind == "excite":
        squeezed = draw(st.sampled_from(["global_avg_pool", "global_max_pool"]))
        excitation = [squeezed, conv(2, 1), "sigmoid"]
        return {"multiply": [draw(branches(axes)), excitation]}
    return {kind: draw(st.lists(branches(axes), min_size=2, max_size=3))}


@st.composite
def networks(draw: DrawFn, axes: int) -> dict[str, Any]:
    """A spec: some layers and joins, those left out that do not fit what stands before them."""
    low, high = {1: (6, 32), 2: (4, 12), 3: (3, 5)}[axes]
    spec = network([2, *draw(st.tuples(*[st.integers(low, high)] * axes))])
    cropped = draw(st.integers(0, 4)) == 4
    layer = items(axes, padded=not cropped)
    one = layer if cropped else st.one_of(layer, layer, joins(axes))
    for _ in range(draw(st.integers(1, 5))):
        longer = {**spec, "layers": [*spec["layers"], draw(one)]}
        if fits(longer):
            spec = longer
    ends = [[], ["flatten"], ["flatten", {"linear": 3}], [{"linear": 3}], ["global_avg_pool"]]
    end = draw(st.sampled_from(ends))
    return {**spec, "layers": [*spec["layers"], *end] or ["identity"]}


def fits(spec: dict[str, Any]) -> bool:
    """Whether the network can be built, is small, and holds nothing that escapes the rule."""
    try:
        graph = graph_of(spec)
    except SpecError:
        return False
    small = all(
        max(node.output_shape[1:], default=1) <= MAX_UNITS and prod(node.output_shape) <= 2000
        for node in graph.nodes
    )
    kinds = [node.layer.kind for node in graph.nodes]
    choices = [i for i, kind in enumerate(kinds) if kind in ("slice", "select")]
    if not small or "concat" in kinds[: max(choices, default=0)]:
        return False
    return "multiply" not in kinds or not multiplies_nothing(graph)


def multiplies_nothing(graph: Graph) -> bool:
    """Whether a factor has units that see no pixel: if they are 0, so is the product's gradient."""
    fields = fields_of(graph, clipped=True)
    return any(
        low > high
        for node in graph.nodes
        if node.layer.kind == "multiply"
        for factor in node.inputs
        for field in fields[factor]
        for low, high in map(
            field.interval,
            range(graph.shape_of(factor)[field.axis] if field.axis is not None else 1),
        )
    )


@pytest.mark.drawn
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_fields_of_networks(axes: int) -> None:
    number = examples({1: 150, 2: 40, 3: 15}[axes])
    exact = 0

    @settings(max_examples=number)
    @given(networks(axes))
    def run(spec: dict[str, Any]) -> None:
        nonlocal exact
        exact += check(graph_of(spec))

    run()
    assert exact > number


CORNERS: dict[str, dict[str, Any]] = {
    "gaps of a transposed convolution": network(
        [2, 6], {"conv_transpose": {"out_channels": 2, "kernel_size": 1, "stride": 2}}, conv(2, 2)
    ),
    "a transposed convolution whose units see to and fro": network(
        [2, 9],
        {"conv_transpose": {"out_channels": 2, "kernel_size": 3, "stride": 2, "dilation": 3}},
        conv(2, 4, dilation=2),
    ),
    "dilation in the padding of an uneven axis": network(
        [2, 5], {"upsample": 2.0}, conv(2, 3, padding=2, dilation=2)
    ),
    "one unit times units that all see the same": network(
        [2, 3],
        conv(2, 1, stride=3),
        {"multiply": [[conv(2, 3, padding=1)], [{"upsample": 2.0}]]},
        {"conv_transpose": {"out_channels": 2, "kernel_size": 2}},
    ),
    "groups of channels that were places": network(
        [2, 6], {"permute": {"dims": [0, 2, 1]}}, conv(4, 1, groups=2)
    ),
    "groups of channels, all in a norm": network(
        [2, 6], {"permute": {"dims": [0, 2, 1]}}, {"group_norm": {"num_groups": 3, "eps": 1.0}}
    ),
    "a factor that doubles by chance": network([2, 3, 3], {"upsample": 2.3}),
    "a factor that leaves all as it is": network([2, 5], {"upsample": 1.1}),
    "joins of unequal jumps, then uneven bins": network(
        [2, 12],
        {
            "add": [
                [{"max_pool": {"kernel_size": 2}}],
                [conv(2, 3, padding=1), conv(2, 1, stride=2)],
            ]
        },
        {"adaptive_avg_pool": {"output_size": 4}},
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_fields_in_corners(corner: str) -> None:
    assert check(graph_of(CORNERS[corner])) > 0
