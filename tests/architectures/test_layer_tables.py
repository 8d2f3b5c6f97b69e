"""Per-layer tables as published, row by row. What does not reproduce stands in docs/errata.md."""

from __future__ import annotations

import json
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from support import cnncalc_output
from support.places import SPECS
from support.published import expected, reference, summary_of, write

import cnncalc

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLES = reference("layer_tables")


@cache
def folded(spec: str) -> dict[str, dict[str, Any]]:
    """The rows of `--depth 1` by name: one for each block, group and join."""
    file = SPECS / f"{spec}.yaml"
    name = str(file) if file.is_file() else spec
    output = cnncalc_output("summarize", name, "--depth", "1", "--format", "json")
    return {row["name"]: row for row in json.loads(output)["layers"]}


def within(spec: str, scopes: Iterable[str]) -> list[cnncalc.LayerSummary]:
    """The rows of those names, and the rows within scopes of those names."""
    return [row for row in summary_of(spec).layers if row.name.split(".")[0] in scopes]


def weights_of(rows: Iterable[cnncalc.LayerSummary]) -> int:
    """Weights alone, without biases."""
    return sum(prod(row.weights["weight"]) for row in rows if row.weights)


JOHNSON = {row[0]: row[1:] for row in TABLES["johnson_alexnet"]["rows"]}


@cache
def johnson_alexnet() -> dict[str, cnncalc.LayerSummary]:
    """The network that the table's own columns describe."""
    layers: list[dict[str, Any]] = []
    for name, (_, _, filters, kernel, stride, padding, channels, *_) in JOHNSON.items():
        window = {"kernel_size": kernel, "stride": stride, "padding": padding}
        if filters:
            layer: dict[str, Any] = {"conv": {"out_channels": filters, **window}}
        elif kernel:
            layer = {"max_pool": window}
        else:
            layer = {"flatten": {}} if name == "flatten" else {"linear": channels}
        layers.append({"name": name, **layer})
    summary = cnncalc.analyze({"input": [3, 227, 227], "layers": layers})
    return {row.name: row for row in summary.layers}


@pytest.mark.parametrize("name", JOHNSON)
def test_johnson_alexnet(name: str) -> None:
    """KB are 1024 bytes, parameters of dense layers are weights alone, a multiply-add is a flop."""
    row = johnson_alexnet()[name]
    in_channels, in_side, *_, channels, side, kb, thousands, millions = JOHNSON[name]
    assert row.input_shapes[0] == (in_channels, *[in_side] * (2 if in_side else 0))
    assert row.output_shape == (channels, *[side] * (2 if side else 0))
    assert round(row.activation_bytes / 1024) == kb
    counted = weights_of([row]) if row.kind == "linear" else row.parameters
    assert round(counted / 1000) == thousands
    printed = f"{millions} M"
    computed = write(row.multiply_adds, printed)
    assert computed == expected(f"Johnson, AlexNet slide: {name}, flop", printed)


def test_johnson_alexnet_exactly() -> None:
    rows, exact = johnson_alexnet(), TABLES["johnson_alexnet"]["exact"]
    assert rows["conv1"].multiply_adds == exact["conv1_flop"]
    assert rows["conv1"].parameters == exact["conv1_params"]
    assert rows["pool1"].activation_bytes / 1024 == exact["pool1_KB"]
    assert rows["pool1"].flops == exact["pool1_flop"]
    assert rows["fc6"].multiply_adds == exact["fc6_flop"]


def test_johnson_lenet() -> None:
    table = TABLES["johnson_lenet"]
    summary = summary_of("lenet5")
    assert [*summary.input_shape] == table["input"]
    for row, (_, shape, weight) in zip(summary.layers, table["rows"], strict=True):
        assert [*row.output_shape] == shape
        ours = [*row.weights.get("weight", ())]
        # The slide writes in × out, PyTorch out × in.
        assert (ours[::-1] if row.kind == "linear" else ours) == (weight or [])


def test_cs231n_vgg16() -> None:
    table = TABLES["cs231n_vgg16"]
    summary = summary_of("vgg16")
    rows = [row for row in summary.layers if row.kind in ("conv", "max_pool", "linear")]
    (_, *sizes, _), *listed = table["rows"]
    assert [*summary.input_shape] == sizes[::-1]
    for row, (name, width, height, channels, weights) in zip(rows, listed, strict=True):
        assert row.kind == {"C": "conv", "P": "max_pool", "F": "linear"}[name[0]]
        assert (*row.output_shape, 1, 1)[:3] == (channels, height, width)
        assert weights_of([row]) == weights
    assert weights_of(rows) == table["weights_sum_exact"]
    assert round(summary.totals.parameters / 1e6) == 138


LENET5 = dict(
    zip(
        ("c1", "s2", "c3", "s4", "c5", "f6", "output"),
        TABLES["lenet5_1998"]["rows"],
        strict=True,
    )
)


def connections(row: dict[str, Any]) -> int:
    """Section II-B counts every use of a weight, and of a bias, as a connection."""
    if row["kind"] == "subsample":
        return prod(row["output_shape"]) * (2 * 2 + 1)
    if row["kind"] == "rbf":
        return int(row["buffers"])
    return int(row["parameters"]) * prod(row["output_shape"][1:])


@pytest.mark.parametrize("name", LENET5)
def test_lenet5_of_1998(name: str) -> None:
    row = folded("lenet5_1998")[name]
    _, shape, parameters, uses = LENET5[name]
    assert row["output_shape"] == shape
    assert row["parameters"] == parameters
    assert connections(row) == uses


def test_lenet5_of_1998_in_all() -> None:
    totals = TABLES["lenet5_1998"]["totals"]
    assert summary_of("lenet5_1998").totals.parameters == totals["trainable"]
    rows = folded("lenet5_1998")
    assert sum(connections(rows[name]) for name in LENET5) == totals["connections"]
    assert [*summary_of("lenet5_1998").input_shape] == TABLES["lenet5_1998"]["input"]


SQUEEZENET = {row[0].split()[0]: row[1:] for row in TABLES["squeezenet"]["rows"]}


@pytest.mark.parametrize("name", SQUEEZENET)
def test_squeezenet(name: str) -> None:
    row = folded("squeezenet")[name]
    shape, *widths, parameters = SQUEEZENET[name]
    assert row["output_shape"] == [shape[2], *shape[:2]]
    assert row["parameters"] == parameters
    convs = [layer for layer in within("squeezenet", [name]) if layer.kind == "conv"]
    if name.startswith("fire"):
        assert [conv.output_shape[0] for conv in convs] == widths
        assert [conv.weights["weight"][2] for conv in convs] == [1, 1, 3]


def test_squeezenet_in_all() -> None:
    assert summary_of("squeezenet").totals.parameters == TABLES["squeezenet"]["total"]
    assert [name for name in folded("squeezenet") if name in SQUEEZENET] == [*SQUEEZENET]


GOOGLENET = {
    "conv1": (["conv_relu1"], "conv 7x7/2"),
    "pool1": (["max_pool1"], "maxpool 3x3/2"),
    "conv2": (["conv_relu2", "conv_relu3"], "conv 3x3/1"),
    "pool2": (["max_pool2"], "maxpool 3x3/2"),
    "3a": (["inception3a"], "3a"),
    "3b": (["inception3b"], "3b"),
    "pool3": (["max_pool3"], "maxpool 3x3/2"),
    "4a": (["inception4a"], "4a"),
    "4b": (["inception4b"], "4b"),
    "4c": (["inception4c"], "4c"),
    "4d": (["inception4d"], "4d"),
    "4e": (["inception4e"], "4e"),
    "pool4": (["max_pool4"], "maxpool 3x3/2"),
    "5a": (["inception5a"], "5a"),
    "5b": (["inception5b"], "5b"),
    "avgpool": (["global_avg_pool1"], "avgpool 7x7/1"),
    "dropout": (["dropout1"], "dropout 40%"),
    "linear": (["linear1"], "linear"),
}
"""Rows of Table 1: ours, and how the table calls them. Its softmax, the last row, is the loss's."""


def test_googlenet_has_the_rows_of_the_table() -> None:
    printed = [row[0] for row in TABLES["googlenet_table1"]["rows"]]
    assert [name for _, name in GOOGLENET.values()] == printed[:-1]
    assert printed[-1] == "softmax"


@pytest.mark.parametrize(
    ("key", "printed"), [*zip(GOOGLENET, TABLES["googlenet_table1"]["rows"][:-1], strict=True)]
)
def test_googlenet(key: str, printed: list[Any]) -> None:
    scopes, name = GOOGLENET[key]
    rows = within("googlenet", scopes)
    _, shape, depth, n1x1, reduce3, n3x3, reduce5, n5x5, projection, weights, ops = printed
    assert [*rows[-1].output_shape] == ([shape[2]] if name == "linear" else [shape[2], *shape[:2]])
    widths = [row.output_shape[0] for row in rows if row.kind == "conv"]
    if "inception" in scopes[0]:
        assert widths == [n1x1, reduce3, n3x3, reduce5, n5x5, projection]
    elif key == "conv2":
        assert widths == [reduce3, n3x3]
    assert depth_of(rows) == depth
    table = f"Szegedy et al. 2014, Table 1: {key}"
    if ops is not None:
        computed = write(sum(row.multiply_adds for row in rows), f"{ops} M")
        assert computed == expected(f"{table}, ops", f"{ops} M")
    if weights is not None:
        count = weights_of(rows)
        computed = f"{int(count / 1024)}K"  # its K is 1024, and cut: 159.5 is 159
        wanted = expected(f"{table}, params", weights)
        assert wanted in (computed, f"{count:,} = {count / 1024:.1f} K")


def depth_of(rows: list[cnncalc.LayerSummary]) -> int:
    """Layers with weights on the path through `rows` that has most of them."""
    depths: dict[str, int] = {}
    for row in rows:
        before = max((depths.get(name, 0) for name in row.inputs), default=0)
        depths[row.name] = before + bool(row.weights)
    return depths[rows[-1].name]


def test_unet() -> None:
    """Every size of the picture, from input to output; contracting, then expanding path."""
    table = TABLES["unet_2015_valid_572"]
    summary = summary_of("unet")
    rows = [row for row in summary.layers if row.kind in ("conv", "conv_transpose", "max_pool")]
    *sizes, scores = [row.output_shape for row in rows]
    assert [572, *(size[1] for size in sizes)] == table["down"] + table["up"]
    assert all(height == width for _, height, width in sizes)
    assert [*scores[1:], scores[0]] == table["out"]
    assert sum(row.kind != "max_pool" for row in rows) == table["conv_layers"]
    assert summary.totals.parameters == table["params"]


def test_unet_is_the_same_when_its_levels_are_nested() -> None:
    """`inputs` that name earlier nodes, and a `concat` within a `concat`, are one network."""
    flat, nested = summary_of("unet"), summary_of("unet_nested")
    assert nested.totals == flat.totals

    def costly(summary: cnncalc.Summary) -> list[tuple[Any, ...]]:
        return [
            (row.layer, row.output_shape, row.receptive_field)
            for row in summary.layers
            if row.parameters
        ]

    assert costly(nested) == costly(flat)


MOBILENET = {row[0]: row[1:] for row in TABLES["slim_mobilenet_v1"]["rows"]}


@pytest.mark.parametrize("name", MOBILENET)
def test_slim_mobilenet_v1(name: str) -> None:
    rows = {row.name: row for row in summary_of("mobilenet_v1").layers}
    scope, _, kind = name.removeprefix("Conv2d_").partition("_")
    if name == "Conv2d_0/Conv2D":
        row = rows["Conv2d_0"]
    elif 7 <= int(scope) <= 11:
        row = rows[f"middle{int(scope) - 6}.{kind}"]
    else:
        row = rows[f"Conv2d_{scope}.{kind}"]
    assert [row.parameters, row.multiply_adds] == MOBILENET[name]


def test_slim_mobilenet_v1_in_all() -> None:
    rows = [
        row
        for row in summary_of("mobilenet_v1").layers
        if row.multiply_adds and row.name != "Logits"
    ]
    assert len(rows) == len(MOBILENET)
    totals = [sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)]
    assert totals == TABLES["slim_mobilenet_v1"]["total"]
