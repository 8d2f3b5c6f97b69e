"""Hypothesis strategies: random networks that fit together, each with a layer of a given kind.

A network is a chain of stages. A stage is built around one case of `strategies`: its layer, the
shape that flows into it, and something around both: a branch of a join, a residual, a block with
parameters, a join by names, a repeat, shared or frozen weights. A bridge, itself of convolutions,
pools, upsamplings and joins, turns one stage's output into the next one's input.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import cnncalc
from cnncalc.errors import SpecError
from cnncalc.network.expansion import build_graph
from support import conv, network
from support.strategies import STRATEGIES, Case

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from cnncalc.network.graph import Graph

    Shape = tuple[int, ...]
    Items = list[Any]

JOINS = ("add", "concat", "multiply")
MAX_NUMBERS = 300
"""Of the tensor that flows into a stage."""
MAX_INPUT_AXES = 4


def graph_of(spec: dict[str, Any]) -> Graph:
    return build_graph(cnncalc.load(spec))


def output_of(shape: Shape, item: Any) -> Shape | None:
    """The shape behind an item, or None if it does not fit or is too large."""
    try:
        graph = graph_of(network([*shape], item))
    except SpecError:
        return None
    after = graph.shape_of(graph.output)
    return after if prod(after) <= MAX_NUMBERS else None


def fits(case: Case) -> bool:
    shape = case.shapes[0]
    if len(shape) > MAX_INPUT_AXES or prod(shape) > MAX_NUMBERS:
        return False
    return len(case.shapes) > 1 or output_of(shape, item_of(case)) is not None


def item_of(case: Case) -> Any:
    return {case.kind: case.fields} if case.fields else case.kind


def cases(kind: str) -> SearchStrategy[Case]:
    return STRATEGIES[kind].filter(fits)


# --- what stands between stages -------------------------------------------------------------------


@st.composite
def keepers(draw: DrawFn, x: Shape, depth: int = 0) -> Items:
    """Items that leave the shape as it is; some are joins of others."""
    norm: dict[str, Any] = {"batch_norm": {"eps": 1.0}}
    if len(x) == 1:
        choices: list[Items] = [
            [],
            ["relu"],
            [norm],
            [{"linear": x[0]}],
            [{"linear": x[0]}, "silu"],
        ]
    elif len(x) > MAX_INPUT_AXES:
        choices = [[], ["relu"], ["identity"]]
    else:
        choices = [
            [],
            ["hardswish"],
            [norm, "relu"],
            [conv(x[0], 3, padding=1)],
            [conv(x[0], 2, padding="same", dilation=2, bias=False)],
            [{"depthwise_conv": {"kernel_size": 3, "padding": "same"}}],
            [{"max_pool": {"kernel_size": 3, "stride": 1, "padding": 1}}],
            [{"avg_pool": {"kernel_size": 2, "stride": 1, "padding": "same"}}],
            [{"multiply": [[], ["global_avg_pool", conv(x[0], 1), "sigmoid"]]}],
        ]
    items = draw(st.sampled_from(choices))
    form = draw(st.sampled_from(["items", "items", "residual", "repeat", "group"]))
    if depth == 2 or not items or form == "items":
        return items
    inner = [*items, *draw(keepers(x, depth + 1))]
    return [{"residual": inner} if form == "residual" else groups(form, inner)]


def groups(form: str, items: Items) -> dict[str, Any]:
    return {"layers": items, "repeat": 2} if form == "repeat" else {"layers": items}


@st.composite
def bridges(draw: DrawFn, x: Shape, y: Shape) -> Items:
    """Items that turn a shape into another."""
    if x == y:
        return draw(keepers(x))
    if len(x) == len(y) == 1:
        return [{"linear": y[0]}]
    if len(x) != len(y) or len(x) > MAX_INPUT_AXES:
        first: Items = ["flatten"] if len(x) > 1 else []
        last: Items = [{"reshape": {"shape": [*y]}}] if len(y) > 1 else []
        return [*first, {"linear": prod(y)}, *last]
    items = []
    if x[1:] != y[1:]:
        items.append(draw(resizers(x, y[1:])))
    if x[0] != y[0]:
        items.append(draw(wideners(x[0], y[0])))
    return draw(st.permutations(items))


def resizers(x: Shape, sizes: tuple[int, ...]) -> SearchStrategy[Any]:
    """One layer that brings an image to these sizes."""
    choices: Items = [
        {"adaptive_avg_pool": [*sizes]},
        {"adaptive_max_pool": [*sizes]},
        {"upsample": {"size": [*sizes]}},
    ]
    pairs = [*zip(x[1:], sizes, strict=True)]
    shared = {"conv": {"out_channels": "=in_channels", "padding": "same"}}
    if all(before >= after for before, after in pairs):
        kernel = [before - after + 1 for before, after in pairs]
        choices += [{"max_pool": {"kernel_size": kernel, "stride": 1}}]
        choices += [{"conv": {"out_channels": "=in_channels", "kernel_size": kernel}}] * 2
        strides = [-(-before // after) for before, after in pairs]
        if all(-(-before // s) == after for s, (before, after) in zip(strides, pairs, strict=True)):
            choices += [{"conv": {**shared["conv"], "kernel_size": 3, "stride": strides}}] * 2
    if all(before <= after for before, after in pairs):
        kernel = [after - before + 1 for before, after in pairs]
        choices += [{"conv_transpose": {"out_channels": "=in_channels", "kernel_size": kernel}}] * 2
    return st.sampled_from(choices)


def wideners(before: int, after: int) -> SearchStrategy[Any]:
    """One layer, or one join, that gives an image so many channels."""
    choices: Items = [conv(after, 1), conv(after, 3, padding=1), conv(after, 2, padding="same")]
    if after % before == 0:
        multiple = {"depth_multiplier": after // before, "kernel_size": 1}
        choices += [conv(after, 1, groups=before, bias=False), {"depthwise_conv": multiple}]
    if after < before:
        choices += [{"slice": {"stop": after}}, {"select": [*range(after)]}]
    else:
        choices += [{"concat": [[], [conv(after - before, 3, padding=1), "relu"]]}]
    return st.sampled_from(choices)


# --- stages ---------------------------------------------------------------------------------------


@st.composite
def stages(
    draw: DrawFn, case: Case, number: int, blocks: dict[str, Any], forms: list[str]
) -> Items:
    """Items around one layer, which takes the case's shape. Adds to the network's blocks."""
    x, item = case.shapes[0], item_of(case)
    y = output_of(x, item)
    assert y is not None
    form = draw(st.sampled_from(forms))
    if form == "frozen":
        return [as_mapping(case) | {"frozen": True}]
    if form == "block":
        return [block_call(case, f"block{number}", blocks)]
    if form == "repeat":
        return [item, {"layers": draw(keepers(y)) or ["relu"], "repeat": draw(st.integers(1, 3))}]
    if form == "shares":
        return [item, *draw(sharers(y))]
    if form == "residual":
        body = [item, *draw(keepers(y))]
        return [{"residual": {"body": body, "shortcut": draw(bridges(x, y))}}]
    if form in JOINS:
        return [{form: [[item], *draw(operands(form, x, y))]}]
    if form.startswith("named"):
        kind = form.removeprefix("named ")
        (other, *_) = draw(operands(kind, x, y))
        return [
            as_mapping(case) | {"name": "one"},
            {"name": "two", "layers": other or ["identity"], "inputs": [f"before{number}"]},
            {"name": "both", kind: {}, "inputs": ["one", "two"]},
        ]
    return [item]


FORMS = ["plain", "plain", "residual", *JOINS, *(f"named {kind}" for kind in JOINS)]
FORMS += ["block", "repeat", "shares", "frozen"]


def as_mapping(case: Case) -> dict[str, Any]:
    return {case.kind: case.fields or None}


@st.composite
def operands(draw: DrawFn, kind: str, x: Shape, y: Shape) -> list[Items]:
    """The other branches of a join, from `x` to what fits beside `y`."""
    if kind == "multiply" and 1 < len(y) <= MAX_INPUT_AXES and draw(st.booleans()):
        return [[*draw(bridges(x, y)), "global_max_pool", "sigmoid"]]
    branches = []
    for _ in range(draw(st.integers(1, 2))):
        z = (draw(st.integers(1, 4)), *y[1:]) if kind == "concat" else y
        branches.append(draw(bridges(x, z)))
    return branches


@st.composite
def sharers(draw: DrawFn, x: Shape) -> Items:
    """A layer that leaves the shape as it is, and another with its weights."""
    layers: list[tuple[Any, Any]] = [({"linear": x[-1]},) * 2]
    if len(x) <= MAX_INPUT_AXES:
        layers += [({"batch_norm": {"eps": 1.0}},) * 2]
    if 1 < len(x) <= MAX_INPUT_AXES:
        same: dict[str, Any] = {"padding": "same"}
        layers += [(conv(x[0], 3, **same), conv(x[0], 3, dilation=2, **same))] * 2
    own, other = draw(st.sampled_from(layers))
    return [{**own, "name": "own"}, *draw(keepers(x)), {**other, "shares": "own"}]


def block_call(case: Case, name: str, blocks: dict[str, Any]) -> Any:
    """The layer as a block whose parameters are its fields; null is no value of a parameter."""
    given = {key: value for key, value in case.fields.items() if value is not None}
    fields = {key: f"={key}" if key in given else None for key in case.fields}
    layers = [{case.kind: fields} if fields else case.kind]
    blocks[name] = {"parameters": dict.fromkeys(given), "layers": layers}
    return {name: given} if given else name


# --- networks -------------------------------------------------------------------------------------


@st.composite
def networks(draw: DrawFn, kind: str) -> dict[str, Any]:
    """A spec in which a layer of the kind stands somewhere."""
    others = st.sampled_from(sorted(STRATEGIES.keys() - {*JOINS}))
    known = [draw(cases(draw(others) if kind in JOINS else kind))]
    axes = len(known[0].shapes[0])
    forms = [[kind, f"named {kind}"] if kind in JOINS else FORMS]
    for other in draw(st.lists(others, max_size=2)):
        few = draw(st.lists(cases(other), min_size=3, max_size=3))
        place = draw(st.integers(0, len(known)))
        # Between unlike numbers of axes everything sees everything: like ones are preferred.
        known.insert(place, min(few, key=lambda case: len(case.shapes[0]) != axes))
        forms.insert(place, FORMS)
    blocks: dict[str, Any] = {}
    shape = draw(entrances(known[0].shapes[0]))
    spec = network([*shape], blocks=blocks)
    for number, (case, allowed) in enumerate(zip(known, forms, strict=True), start=1):
        items = draw(bridges(shape, case.shapes[0]))
        spec["layers"].append({"name": f"before{number}", "layers": items or ["identity"]})
        items = draw(stages(case, number, blocks, allowed))
        spec["layers"].append({"name": f"stage{number}", "layers": items})
        graph = graph_of(spec)
        shape = graph.shape_of(graph.output)
    end: Items = [*([] if len(shape) == 1 else ["flatten"]), {"linear": 3}]
    spec["layers"] += draw(st.sampled_from([[], end]))
    return spec


def entrances(shape: Shape) -> SearchStrategy[Shape]:
    """The shape of a network's input, where its first stage takes this one."""
    sizes = {2: st.integers(1, 16), 3: st.integers(1, 9), 4: st.integers(1, 5)}
    axes = len(shape) if len(shape) > 1 else 3
    image = st.tuples(st.integers(1, 4), *[sizes[axes]] * (axes - 1))
    return st.just(shape) | image if len(shape) > 1 else image
