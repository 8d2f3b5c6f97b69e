"""The networks of the lectures, table by table. L0…L4 are the decks: see docs/lectures.md."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

import pytest
from support import bundled, cnncalc_output, row
from support.formulas import evaluate

import cnncalc

if TYPE_CHECKING:
    from cnncalc import Summary

Table = list[list[str]]


def table(text: str) -> Table:
    """The cells of a Markdown table, without its heading."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if "|" in line]
    return [[cell.strip().strip("*") for cell in row] for row in rows if "---" not in row[0]]


def printed(spec: str, columns: str, *options: str) -> Table:
    """The rows that the command line prints, without heading and totals."""
    text = cnncalc_output("summarize", spec, "--columns", columns, "--format", "markdown", *options)
    rows = table(text)[1:]
    return [row for row in rows if row[0] != "total"]


def depth(summary: Summary) -> int:
    """Layers with weights along the longest path, as the papers count their layers."""
    depths = {"input": 0}
    for layer in summary.layers:
        own = layer.kind in ("conv", "linear")
        depths[layer.name] = own + max(depths[source] for source in layer.inputs)
    return depths[summary.layers[-1].name]


def millions(number: int) -> str:
    return f"{number / 1e6:.0f}M"


# L0 and L1: input size / layer information, output size, # parameters, # products.
LENET = table("""
1×28×28 · nn.Conv2d(1, 32, kernel_size=5) | 32×24×24 | 32·(5²+1) = 832 | 32·24²·5² = 460,800
32×24×24 · F.max_pool2d(., kernel_size=3) | 32×8×8   | 0 | 0
32×8×8 · F.relu(.)                        | 32×8×8   | 0 | 0
32×8×8 · nn.Conv2d(32, 64, kernel_size=5) | 64×4×4   | 64·(32·5²+1) = 51,264 | 64·32·4²·5² = 819,200
64×4×4 · F.max_pool2d(., kernel_size=2)   | 64×2×2   | 0 | 0
64×2×2 · F.relu(.)                        | 64×2×2   | 0 | 0
64×2×2 · x.view(-1, 256)                  | 256      | 0 | 0
256 · nn.Linear(256, 200)                 | 200      | 200·(256+1) = 51,400 | 200·256 = 51,200
200 · F.relu(.)                           | 200      | 0 | 0
200 · nn.Linear(200, 10)                  | 10       | 10·(200+1) = 2,010 | 10·200 = 2,000
""")
AS_MODULES = {
    "F.max_pool2d(., kernel_size=3)": "nn.MaxPool2d(kernel_size=3)",
    "F.max_pool2d(., kernel_size=2)": "nn.MaxPool2d(kernel_size=2)",
    "F.relu(.)": "nn.ReLU()",
    "x.view(-1, 256)": "nn.Flatten()",
}


def test_l0_and_l1_print_the_lenet_table_row_by_row() -> None:
    ours = printed("lenet.yaml", "lecture")

    assert len(ours) == len(LENET) == 10
    for (layer, output, *worked), lecture in zip(ours, LENET, strict=True):
        size, name = lecture[0].split(" · ")
        assert layer == f"{size} · {AS_MODULES.get(name, name)}"
        assert output == lecture[1]
        for cell, said in zip(worked, lecture[2:], strict=True):
            formula, _, number = cell.rpartition(" = ")
            their_formula, _, their_number = said.rpartition(" = ")
            assert number == their_number
            if formula or their_formula:
                value = int(number.replace(",", ""))
                assert evaluate(formula) == evaluate(their_formula) == value


def test_l0_and_l1_lecture_table_of_the_command_line() -> None:
    text = cnncalc_output("summarize", "lenet.yaml", "--columns", "lecture", "--format", "markdown")
    *rows, total = table(text)[1:]
    position = 0
    for expected in (
        "32×24×24", "832", "460,800", "32×8×8", "64×4×4", "51,264", "819,200", "256", "51,400",
        "51,200", "2,010", "2,000",
    ):  # fmt: skip
        position = text.index(expected, position)
    assert [[cell.split(" = ")[-1] for cell in row[1:]] for row in rows] == [
        ["32×24×24", "832", "460,800"],
        ["32×8×8", "0", "0"],
        ["32×8×8", "0", "0"],
        ["64×4×4", "51,264", "819,200"],
        ["64×2×2", "0", "0"],
        ["64×2×2", "0", "0"],
        ["256", "0", "0"],
        ["200", "51,400", "51,200"],
        ["200", "0", "0"],
        ["10", "2,010", "2,000"],
    ]
    assert total == ["total", "", "105,506", "1,333,200"]


# L2: layer, output size, weight size.
LENET5 = table("""
conv 20 5×5 p2 s1 | 20×28×28 | 20×1×5×5
ReLU              | 20×28×28 | –
max pool 2/2      | 20×14×14 | –
conv 50 5×5 p2    | 50×14×14 | 50×20×5×5
ReLU              | 50×14×14 | –
max pool 2/2      | 50×7×7   | –
flatten           | 2450     | –
linear            | 500      | 500×2450
ReLU              | 500      | –
linear            | 10       | 10×500
""")


def test_l2_prints_the_lenet5_table_row_by_row() -> None:
    assert bundled("lenet5").input_shape == (1, 28, 28)
    ours = printed("lenet5", "weights")

    for (layer, output, weight), (said, *expected) in zip(ours, LENET5, strict=True):
        assert [output, weight.split(", ")[0]] == expected
        assert said.split()[0].lower() in layer.lower().replace("maxpool", "max pool")
    assert ours[0][0] == "nn.Conv2d(1, 20, kernel_size=5, padding=2)"
    assert bundled("lenet5").totals.parameters == 1_256_080


def test_l2_writes_a_linear_weight_as_inputs_by_outputs() -> None:
    """L2 prints 2450×500; PyTorch, and so cnncalc, keeps it as 500×2450."""
    linear = bundled("lenet5").layers[7]

    assert linear.weights == {"weight": (500, 2450), "bias": (500,)}


def test_l3_lenet5_for_mnist() -> None:
    summary = bundled("lenet5_wide")
    weighted = [layer for layer in summary.layers if layer.parameters]

    assert [layer.parameters for layer in weighted] == [500, 45_100, 490_100, 1_010]
    pooled = [layer.output_shape for layer in summary.layers if layer.kind == "max_pool"]
    assert pooled == [(50, 14, 14), (100, 7, 7)]
    assert [layer.output_shape for layer in weighted[2:]] == [(100,), (10,)]
    assert weighted[2].input_shapes == ((4_900,),)
    assert weighted[0].layer == "nn.Conv2d(1, 50, kernel_size=3, padding=1)"
    assert summary.totals.parameters == 536_710


def vgg_block(summary: Summary, number: int) -> int:
    """Parameters of a block of VGG."""
    prefix = f"stage{number}."
    return sum(layer.parameters for layer in summary.layers if layer.name.startswith(prefix))


@pytest.mark.parametrize(
    ("block", "parameters", "size"),
    [
        (1, 38_720, (64, 16, 16)),
        (2, 221_440, (128, 8, 8)),
        (3, 885_248, (256, 4, 4)),
        (4, 3_539_968, (512, 2, 2)),
    ],
)
def test_l3_vgg_block_by_block(block: int, parameters: int, size: tuple[int, ...]) -> None:
    summary = bundled("vgg")

    assert vgg_block(summary, block) == parameters
    assert [layer.output_shape for layer in summary.layers if layer.kind == "max_pool"][
        block - 1
    ] == size
    folded = printed("vgg", "name,output,parameters", "--depth", "1")
    assert folded[block - 1][2] == f"{parameters:,}"


def test_l3_vgg_linear_layers_and_total() -> None:
    summary = bundled("vgg")
    linear = [layer for layer in summary.layers if layer.kind == "linear"]

    assert [layer.input_shapes[0][0] for layer in linear] == [2_048, 4_096, 4_096]
    assert linear[-1].output_shape == (10,)
    assert sum(layer.parameters for layer in linear) == 25_214_986
    assert f"{25_214_986 / 1e6:.1f}M" == "25.2M"
    assert summary.totals.parameters == 29_900_362
    assert millions(summary.totals.parameters) == "30M"
    convs = [layer for layer in summary.layers if layer.kind == "conv"]
    assert {layer.weights["weight"][2:] for layer in convs} == {(3, 3)}
    assert all(layer.input_shapes[0][1:] == layer.output_shape[1:] for layer in convs)


def test_l3_vgg_by_its_formulas_and_by_its_lab() -> None:
    """The lab, like the drawing, has one convolution in block 4; both go by names of their own."""
    assert bundled("vgg_formula").totals.parameters == 29_900_362
    assert bundled("vgg_lab").totals.parameters == 27_540_554
    assert vgg_block(bundled("vgg_lab"), 4) == 512 * 256 * 9 + 512


def test_l3_mlps_on_cifar() -> None:
    assert bundled("mlp1").totals.parameters == 30_730
    assert f"{30_730 / 1e6:.2f}" == "0.03"
    assert bundled("mlp3").totals.parameters == 1_792_010
    assert millions(1_792_010) == "2M"
    sizes = [layer.output_shape for layer in bundled("mlp3").layers if layer.kind != "relu"]
    assert sizes == [(3_072,), (500,), (500,), (10,)]


# L3's case studies: name, input, layers, parameters.
@pytest.mark.parametrize(
    ("name", "groups", "size", "parameters", "said"),
    [
        ("alexnet", 1, (3, 227, 227), 62_378_344, "62M"),
        ("alexnet", 2, (3, 227, 227), 60_965_224, "61M"),
        ("vgg16", None, (3, 224, 224), 138_357_544, "138M"),
        ("resnet152", None, (3, 224, 224), 60_192_808, "60M"),
    ],
)
def test_l3_case_studies(
    name: str, groups: int | None, size: tuple[int, ...], parameters: int, said: str
) -> None:
    summary = bundled(name, **({} if groups is None else {"groups": groups}))

    assert summary.input_shape == size
    assert summary.totals.parameters == parameters
    assert millions(parameters) == said
    assert summary.output_shape == (1000,)


def test_l3_lenet5_is_cl_mp_cl_mp_ll_ll() -> None:
    short = {"conv": "CL", "max_pool": "MP", "linear": "LL"}
    kinds = [short[layer.kind] for layer in bundled("lenet5_wide").layers if layer.kind in short]

    assert "-".join(kinds) == "CL-MP-CL-MP-LL-LL"
    assert bundled("lenet5_wide").input_shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("alexnet", 8),
        ("vgg16", 16),
        ("googlenet", 22),
        ("resnet18", 18),
        ("resnet34", 34),
        ("resnet50", 50),
        ("resnet101", 101),
        ("resnet152", 152),
    ],
)
def test_l3_counts_the_layers_with_weights(name: str, layers: int) -> None:
    assert depth(bundled(name)) == layers


# Szegedy et al. 2014, Table 1: what L3's case study is built from.
GOOGLENET = [
    ("conv_relu1", (64, 112, 112)),
    ("max_pool1", (64, 56, 56)),
    ("conv_relu3", (192, 56, 56)),
    ("max_pool2", (192, 28, 28)),
    ("inception3a", (256, 28, 28)),
    ("inception3b", (480, 28, 28)),
    ("max_pool3", (480, 14, 14)),
    ("inception4a", (512, 14, 14)),
    ("inception4b", (512, 14, 14)),
    ("inception4c", (512, 14, 14)),
    ("inception4d", (528, 14, 14)),
    ("inception4e", (832, 14, 14)),
    ("max_pool4", (832, 7, 7)),
    ("inception5a", (832, 7, 7)),
    ("inception5b", (1024, 7, 7)),
    ("global_avg_pool1", (1024, 1, 1)),
    ("dropout1", (1024, 1, 1)),
    ("linear1", (1000,)),
]


def test_l3_googlenet_has_the_sizes_of_its_paper() -> None:
    rows = printed("googlenet", "name,output", "--depth", "1")
    sizes = {name: tuple(map(int, size.split("×"))) for name, size in rows}

    assert [(name, sizes[name]) for name, _ in GOOGLENET] == GOOGLENET


def test_l2_and_l4_conv_example() -> None:
    summary = bundled("conv_example")
    conv = summary.layers[0]

    assert (summary.input_shape, summary.output_shape) == ((3, 32, 32), (10, 32, 32))
    assert (conv.parameters, conv.multiply_adds) == (760, 768_000)
    assert conv.formulas.parameters.text == "10·(5²·3 + 1)"
    assert conv.parameters // 10 == 5 * 5 * 3 + 1 == 76


def test_l2_first_layer_filters_of_alexnet() -> None:
    conv = row([3, 227, 227], {"conv": {"out_channels": 64, "kernel_size": 11, "stride": 4}})

    assert conv.weights["weight"] == (64, 3, 11, 11)
    assert bundled("alexnet").layers[0].weights["weight"] == (96, 3, 11, 11)


# LeCun et al. 1998, section II-B: maps, trainable parameters, connections.
@pytest.mark.parametrize(
    ("layer", "size", "parameters", "connections"),
    [
        ("c1", (6, 28, 28), 156, 122_304),
        ("s2", (6, 14, 14), 12, 5_880),
        ("c3", (16, 10, 10), 1_516, 151_600),
        ("s4", (16, 5, 5), 32, 2_000),
        ("c5", (120, 1, 1), 48_120, 48_120),
        ("f6", (84,), 10_164, 10_164),
    ],
)
def test_lenet5_of_1998_layer_by_layer(
    layer: str, size: tuple[int, ...], parameters: int, connections: int
) -> None:
    rows = [
        row
        for row in cnncalc.analyze("lenet5_1998").layers
        if row.name == layer or row.name.startswith(f"{layer}.")
    ]
    pooled = sum(row.flops or 0 for row in rows if row.kind == "avg_pool")

    assert rows[-1].output_shape == size
    assert sum(row.parameters for row in rows) == parameters
    # The paper's connections: a weight's or a summed input's each, and a bias's for every unit.
    assert sum(row.multiply_adds for row in rows) + pooled + prod(size) == connections


def test_lenet5_of_1998_in_all() -> None:
    summary = cnncalc.analyze("lenet5_1998")
    output = summary.layers[-1]

    assert summary.totals.parameters == 60_000
    assert (output.kind, output.parameters, output.buffers) == ("rbf", 0, 840)


def test_lenet5_of_1998_sees_its_sparse_connections() -> None:
    """Table I of the paper: how many maps of S2 each map of C3 sees, and each is seen by ten."""
    layers = cnncalc.analyze("lenet5_1998").layers
    selects = [layer for layer in layers if layer.kind == "select"]
    seen = [[*map(int, re.findall(r"\d", layer.layer))] for layer in selects]

    assert [len(maps) for maps in seen] == [3] * 6 + [4] * 9 + [6]
    assert {maps.count(number) for number in range(6) for maps in seen} == {0, 1}
    assert [sum(number in maps for maps in seen) for number in range(6)] == [10] * 6
    assert len({tuple(sorted(maps)) for maps in seen}) == 16
