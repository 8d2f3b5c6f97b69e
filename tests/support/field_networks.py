"""Networks whose receptive fields follow the rule of `autograd_fields` to the pixel."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from cnncalc.analysis.analyze import fields_of
from cnncalc.errors import SpecError
from cnncalc.layers import registry
from cnncalc.layers.merge import Merge
from support import network
from support.strategies import Case

torch = pytest.importorskip("torch", reason="receptive fields are compared with gradients")

from support.autograd_fields import graph_of  # noqa: E402

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from cnncalc.network.graph import Graph

KINDS = sorted(kind for kind, cls in registry().items() if not issubclass(cls, Merge))


def is_comparable(case: Case) -> bool:
    return len(case.shapes[0]) <= 4 and prod(case.shapes[0]) <= 400


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
