"""Receptive fields as published: Araujo et al. 2019, FCN, Faster R-CNN, Yu & Koltun, and others.

In Araujo's words ours are: rf, the field's size; effective stride, its jump; effective padding,
−start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import bundled, cnncalc_output
from support.places import SPECS
from support.published import reference

import cnncalc

TABLE = reference("receptive_fields")
FILES = {
    "alexnet_v2": SPECS / "alexnet_v2.yaml",
    "vgg_16": SPECS / "vgg.yaml",
    "mobilenet_v1": "mobilenet_v1",
    "resnet_v1_50": SPECS / "resnet_v1_slim.yaml",
}
LAST = {
    "alexnet_v2": "alexnet_v2/pool5",
    "vgg_16": "vgg_16/pool5",
    "mobilenet_v1": "Conv2d_13_pointwise",
    "resnet_v1_50": "resnet_v1_50/block4",
}


def spec(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((SPECS / name).read_text(encoding="utf-8"))
    return data


@cache
def summary(model: str, resolution: int) -> cnncalc.Summary:
    network = cnncalc.load(FILES[model], input=[3, resolution, resolution])
    return cnncalc.analyze(network)


def row_name(end_point: str) -> str:
    """What a published end-point is called in our spec: a row, or a scope."""
    name = end_point.rsplit("/", 1)[-1]
    if end_point.startswith("vgg_16"):
        if name.startswith("pool"):
            return f"stage{name[-1]}.pool"
        return f"stage{name[4]}.unit{name[6]}.conv1"
    if name.endswith("_pointwise"):
        number = int(name.split("_")[1])
        return (
            f"middle{number - 6}.pointwise" if 7 <= number <= 11 else f"Conv2d_{number}.pointwise"
        )
    return name


def rows_until(model: str, resolution: int, end_point: str) -> list[cnncalc.LayerSummary]:
    """The rows of the network cut at an end-point."""
    rows = summary(model, resolution).layers
    name = row_name(end_point)
    last = max(
        i for i, row in enumerate(rows) if row.name == name or row.name.startswith(f"{name}.")
    )
    return [*rows[: last + 1]]


def field_of(row: cnncalc.LayerSummary) -> tuple[int | None, int | None, int | None]:
    """Size, jump and −start, which must be equal on all axes."""
    size, jump, start = ({*values} for values in row.receptive_field)
    assert len(size) == len(jump) == len(start) == 1
    return size.pop(), jump.pop(), -(start.pop() or 0)


@pytest.mark.parametrize(
    ("model", "resolution", "end_point", "rf", "stride", "pad", "_"), TABLE["rows"]
)
def test_end_point(
    model: str,
    resolution: int | None,
    end_point: str,
    rf: int,
    stride: int,
    pad: int | None,
    _: float,
) -> None:
    """Rows without a resolution hold at any: size and jump do not depend on the input's size.

    Only the padding does, where `same` meets a stride: those rows publish none. Where they do
    publish one, no strided layer pads, and it holds at any resolution too.
    """
    for side in (224, 321) if resolution is None else (resolution,):
        size, jump, padding = field_of(rows_until(model, side, end_point)[-1])
        assert (size, jump) == (rf, stride)
        assert pad is None or padding == pad


@pytest.mark.parametrize(("model", "rf", "stride", "pad", "gflops"), TABLE["summary_224"])
def test_summary_of_the_article(model: str, rf: int, stride: int, pad: int, gflops: float) -> None:
    rows = rows_until(model, 224, LAST[model])
    assert field_of(rows[-1]) == (rf, stride, pad)
    assert round(tensorflow_flops(model, rows) / 1e9, 2) == gflops


def test_same_padding_depends_on_the_resolution() -> None:
    """An odd axis is padded before it by a strided 3×3, an even one is not."""
    assert field_of(rows_until("resnet_v1_50", 224, LAST["resnet_v1_50"])[-1]) == (483, 32, 239)
    assert field_of(rows_until("resnet_v1_50", 321, LAST["resnet_v1_50"])[-1]) == (483, 32, 241)


def tensorflow_flops(model: str, rows: list[cnncalc.LayerSummary]) -> int:
    """What tf.profiler counts of a graph: 2 per multiply-add, windows of max pools, and a BiasAdd
    per output of a convolution (which batch normalisation replaces, for the ResNets alone)."""
    total = 0
    for row in rows:
        if row.kind == "max_pool":
            assert row.flops is not None
            total += row.flops
        elif row.kind in ("conv", "depthwise_conv"):
            outputs = row.activation_bytes // 4
            total += 2 * row.multiply_adds + (0 if model == "resnet_v1_50" else outputs)
    return total


@pytest.mark.parametrize(
    ("model", "resolution", "end_point", "gflops"),
    [(*row[:3], row[6]) for row in TABLE["rows"] if row[6] is not None],
)
def test_flops_of_end_point(model: str, resolution: int, end_point: str, gflops: float) -> None:
    rows = rows_until(model, resolution, end_point)
    assert round(tensorflow_flops(model, rows) / 1e9, 3) == gflops


def without_shortcuts(items: Any) -> Any:
    """The same spec with every residual replaced by its body."""
    if isinstance(items, dict):
        if "residual" in items:
            return {"layers": without_shortcuts(items["residual"]["body"])}
        return {key: without_shortcuts(value) for key, value in items.items()}
    return [without_shortcuts(item) for item in items] if isinstance(items, list) else items


@pytest.mark.parametrize("resolution", [224, 321, 225])
def test_path_with_the_largest_field_sees_the_hull(resolution: int) -> None:
    """Araujo et al. publish the field of the path that sees most; ours is the hull of all paths.

    In a residual network the path through every body sees most, and it sees what all paths see.
    """
    data = without_shortcuts(spec("resnet_v1_slim.yaml"))
    bodies = cnncalc.analyze(cnncalc.load(data, input=[3, resolution, resolution]))
    for block in ("block1", "block2", "block3", "block4"):
        end = rows_until("resnet_v1_50", resolution, block)[-1]
        path = [row for row in bodies.layers if row.name.startswith(f"{block}.")][-1]
        assert path.receptive_field == end.receptive_field
    shortcuts = [row for row in summary("resnet_v1_50", resolution).layers if row.kind == "add"]
    assert len(shortcuts) == 16, "the comparison is not of two plain networks"


CENTRES = {
    "2d": (
        [3, 256, 256],
        [
            (
                {"conv": {"out_channels": 64, "kernel_size": 7, "stride": 2, "padding": 3}},
                128,
                0.5,
                2,
                7,
            ),
            ("batch_norm", 128, 0.5, 2, 7),
            ("relu", 128, 0.5, 2, 7),
            ({"max_pool": {"kernel_size": 3, "stride": 2, "padding": 1}}, 64, 0.5, 4, 11),
            ({"avg_pool": {"kernel_size": 3, "stride": 2, "padding": 1}}, 32, 0.5, 8, 19),
        ],
    ),
    "3d": (
        [3, 16, 16, 16],
        [
            ({"conv": {"out_channels": 4, "kernel_size": 3, "padding": 1}}, 16, 0.5, 1, 3),
            ("batch_norm", 16, 0.5, 1, 3),
            ("relu", 16, 0.5, 1, 3),
            ({"max_pool": {"kernel_size": 2, "stride": 2, "padding": 1}}, 9, 0.0, 2, 4),
        ],
    ),
}
"""Fangyh09/pytorch-receptive-field, README: layer, map size, centre of unit 0, jump, field."""


@pytest.mark.parametrize("case", CENTRES)
def test_pytorch_receptive_field(case: str) -> None:
    """It states the centre of unit 0, the centre of the first pixel being at 0.5."""
    shape, layers = CENTRES[case]
    rows = cnncalc.analyze({"input": shape, "layers": [layer for layer, *_ in layers]}).layers
    axes = len(shape) - 1
    for row, (_, size, centre, jump, rf) in zip(rows, layers, strict=True):
        assert row.output_shape[1:] == (size,) * axes
        assert row.receptive_field.size == (rf,) * axes
        assert row.receptive_field.jump == (jump,) * axes
        assert [(start or 0) + rf / 2 for start in row.receptive_field.start] == [centre] * axes


def test_pytorch_receptive_field_clips_a_region_to_the_image() -> None:
    """Its region of unit (1, 1) of layer 2 is [(0, 6.0), (0, 6.0)] on an image of 256."""
    shape, layers = CENTRES["2d"]
    row = cnncalc.analyze({"input": shape, "layers": [layer for layer, *_ in layers]}).layers[1]
    size, jump, padding = field_of(row)
    assert size is not None
    assert jump is not None
    assert padding is not None
    first = jump - padding
    assert (max(first, 0), min(first + size, 256)) == (0, 6)
    assert first == -1, "ours is not clipped"


def conv(kernel_size: int, **fields: Any) -> dict[str, Any]:
    return {"conv": {"out_channels": 4, "kernel_size": kernel_size, **fields}}


POOL = {"max_pool": {"kernel_size": 3, "stride": 2, "padding": 1}}
ZF_CONV5 = [
    conv(7, stride=2, padding=3),
    POOL,
    conv(5, stride=2, padding=2),
    POOL,
    *[conv(3, padding=1)] * 3,
]
VGG_CONV5 = [
    *([*[conv(3, padding=1)] * 2, {"max_pool": 2}] * 2),
    *([*[conv(3, padding=1)] * 3, {"max_pool": 2}] * 2),
    *[conv(3, padding=1)] * 3,
]
FASTER_RCNN = {"ZF": (ZF_CONV5, 139, 171), "VGG-16": (VGG_CONV5, 196, 228)}
"""Layers up to conv5, what they see, and what the 3×3 of the proposals sees on top."""


@pytest.mark.parametrize("model", FASTER_RCNN)
@pytest.mark.parametrize("side", [224, 600])
def test_faster_rcnn(model: str, side: int) -> None:
    """Ren et al. 2015, section 3.1: 171 and 228 pixels for ZF and VGG, stride 16."""
    layers, conv5, proposals = FASTER_RCNN[model]
    rows = cnncalc.analyze(
        {"input": [3, side, side], "layers": [*layers, conv(3, padding=1)]}
    ).layers
    assert field_of(rows[-2])[:2] == (conv5, 16)
    assert field_of(rows[-1])[:2] == (proposals, 16)


SCORES = "  - conv: {out_channels: 21, kernel_size: 1}\n"
DENSE = """\
  - conv: {{out_channels: 4096, kernel_size: {}}}
  - conv: {{out_channels: 4096, kernel_size: 1}}
"""
FCN = {
    "FCN-AlexNet": ("alexnet", "flatten", DENSE.format(6), 8, 57, 355),
    "FCN-VGG16": ("vgg16", "flatten", DENSE.format(7), 16, 134, 404),
    "FCN-GoogLeNet": (
        "googlenet",
        "global_avg_pool",
        "  - avg_pool: {kernel_size: 7, stride: 1}\n",
        22,
        6,
        907,
    ),
}
"""Bundled trunk, where it is cut, head; Table 1: conv. layers, millions of parameters, rf size."""


@pytest.mark.parametrize("model", FCN)
@pytest.mark.parametrize("side", [227, 500])
def test_fully_convolutional_network(model: str, side: int, tmp_path: Path) -> None:
    """Long, Shelhamer & Darrell 2015, Table 1; the fields reach beyond the image."""
    trunk, end, head, depth, millions, rf = FCN[model]
    text = cnncalc_output("show", trunk)
    file = tmp_path / "fcn.yaml"
    file.write_text(text[: text.index(f"  - {end}\n")] + head + SCORES, encoding="utf-8")
    groups = {"groups": 2} if trunk == "alexnet" else {}
    network = cnncalc.analyze(cnncalc.load(file, parameters=groups, input=[3, side, side]))
    assert field_of(network.layers[-1])[:2] == (rf, 32)
    assert round(network.totals.parameters / 1e6) == millions
    assert convolutions_in_a_row(network) == depth


def convolutions_in_a_row(network: cnncalc.Summary) -> int:
    """Convolutions on the path that has most of them."""
    depths = {"input": 0}
    for row in network.layers:
        depths[row.name] = max(depths[name] for name in row.inputs) + (row.kind == "conv")
    return depths[network.layers[-1].name]


def test_field_of_googlenet_before_its_average_pool() -> None:
    """715 pixels at the end of 5b, by the 5×5 branches; the 7×7 pool adds 6·32."""
    network = bundled("googlenet")
    ends = {row.name: row for row in network.layers if row.name.startswith("inception5b")}
    assert field_of(ends["inception5b.concat1"])[:2] == (715, 32)
    narrow = ends["inception5b.concat1.branch1.conv_relu1.conv1"]
    assert (narrow.receptive_field.size[0] or 0) < 715


def test_dilated_context_module() -> None:
    """Yu & Koltun 2016, Table 1: the basic context module."""
    module = [
        (3, 1, 3),
        (3, 1, 5),
        (3, 2, 9),
        (3, 4, 17),
        (3, 8, 33),
        (3, 16, 65),
        (3, 1, 67),
        (1, 1, 67),
    ]
    layers = [conv(k, dilation=d, padding=d * (k - 1) // 2) for k, d, _ in module]
    rows = cnncalc.analyze({"input": [4, 64, 64], "layers": layers}).layers
    assert [field_of(row)[0] for row in rows] == [rf for *_, rf in module]
    assert [field_of(row)[1] for row in rows] == [1] * 8
    assert {row.output_shape for row in rows} == {(4, 64, 64)}
