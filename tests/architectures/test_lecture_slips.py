"""The slips of the lectures: what docs/lectures.md says is computed, is what cnncalc computes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from operator import mul

import pytest
from support import bundled, conv, row
from support.formulas import evaluate
from support.places import ROOT
from test_lectures import depth, table, vgg_block

import cnncalc

DOCS = ROOT / "docs" / "lectures.md"
Image = list[list[int]]


def section(title: str) -> list[list[str]]:
    """The rows of the table under a heading of the page, without the table's own heading."""
    text = DOCS.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    return table("\n".join(line for line in text.splitlines() if line.startswith("|")))[1:]


def image(rows: str) -> Image:
    return [[int(digit) for digit in row] for row in rows.split("/")]


def correlated(pixels: Image, weights: Image, stride: int = 1, ring: int = 0) -> str:
    """The lectures' convolution of one channel, as the slides print it."""
    blank = [0] * (len(pixels[0]) + 2 * ring)
    inner = [[0] * ring + line + [0] * ring for line in pixels]
    padded = [blank] * ring + inner + [blank] * ring
    height, width = len(weights), len(weights[0])

    def place(y: int, x: int) -> int:
        patch = [line[x : x + width] for line in padded[y : y + height]]
        return sum(map(mul, chain(*weights), chain(*patch)))

    return " / ".join(
        " ".join(str(place(y, x)) for x in range(0, len(blank) - width + 1, stride))
        for y in range(0, len(padded) - height + 1, stride)
    )


FILTER = image("010/000/112")
SMALL = image("323331/013312/220020/301330/232001/222310")
LARGE = image("3233312/0133121/2200200/3013303/2320011/2223101/0211331")


def dense_layer() -> str:
    equal = {"linear": {"out_features": 120_000, "bias": False}}
    dense = row([3, 200, 200], "flatten", equal)

    assert dense.parameters == 144 * 10**8
    assert round(dense.weight_bytes / 1e9) == 58
    return f"{dense.weight_bytes / 1e9} GB"


def second_convolution() -> str:
    conv2 = cnncalc.analyze("lenet").layers[3]

    assert evaluate("64·(32·4²+1)") == 32_832
    assert evaluate("64·(32·5²+1)") == conv2.parameters == 51_264
    return f"`{conv2.formulas.parameters.text}` = {conv2.parameters:,}"


def padded_example() -> str:
    assert correlated(SMALL, FILTER) == "6 5 7 5 / 6 10 13 7 / 11 5 2 4 / 8 11 10 7"
    assert correlated(SMALL, FILTER, ring=1) == (
        "2 7 10 8 8 3 / 9 6 5 7 5 3 / 3 6 10 13 7 5 / 10 11 5 2 4 1 / 9 8 11 10 7 1 / 2 3 2 0 0 1"
    )
    drawn, meant = (row([1, 6, 6], conv(1, k, padding=p)) for k, p in ((5, 2), (3, 1)))
    assert drawn.output_shape == meant.output_shape == (1, 6, 6)
    return "a 3×3 filter and one ring"


def strided_example() -> str:
    corner = correlated([line[:5] for line in LARGE[:5]], FILTER)

    assert corner == "6 5 7 / 6 10 13 / 11 5 2"
    assert row([1, 7, 7], conv(1, 3, stride=2)).output_shape == (1, 3, 3)
    return correlated(LARGE, FILTER, stride=2)


def vgg_block_1() -> str:
    assert (38_720 // 1000, round(38_720 / 1000)) == (38, 39)
    return f"{vgg_block(bundled('vgg'), 1):,}"


def vgg_block_4() -> str:
    second = bundled("vgg", convs=[2, 2, 2, 1])
    convs = [layer for layer in bundled("vgg").layers if layer.kind == "conv"]

    assert [layer.parameters for layer in convs[-2:]] == [512 * 256 * 9 + 512, 2_359_808]
    assert evaluate("512·216·9 + 512 + 2359808") == 3_355_648
    assert 3_355_648 // 10**5 == 33
    assert vgg_block(second, 4) == 512 * 256 * 9 + 512
    return f"{vgg_block(bundled('vgg'), 4):,}"


def vgg_layers() -> str:
    drawn, formula = bundled("vgg", convs=[2, 2, 2, 1]), bundled("vgg")

    assert (depth(drawn), drawn.totals.parameters) == (10, 27_540_554)
    assert formula.totals.parameters == 29_900_362
    return f"{depth(formula)} layers"


def lenet5() -> str:
    wide, paper = bundled("lenet5_wide").totals.parameters, bundled("lenet5_1998").totals.parameters

    assert f"{wide / 1e6:.2f}M" == "0.54M"
    assert f"{paper / 1e6:.2f}M" == "0.06M"
    return f"{wide:,}"


def googlenet() -> str:
    parameters = bundled("googlenet").totals.parameters

    assert f"{parameters / 1e6:.1f}M" == "7.0M"
    return f"{parameters:,}"


def mlp3() -> str:
    widths = [layer.output_shape for layer in bundled("mlp3").layers if layer.kind == "linear"]

    assert widths == [(500,), (500,), (10,)]
    return f"{bundled('mlp3').totals.parameters:,}"


SLIPS: dict[str, Callable[[], str]] = {
    "≈58GB for the dense layer": dense_layer,
    "`64.(32.4²+1)` beside 51,264": second_convolution,
    "a 5×5 filter and two rings of zeros beside the padded example": padded_example,
    "6 5 7 / 6 10 13 / 11 5 2 for stride 2": strided_example,
    '"38K" for block 1 of VGG': vgg_block_1,
    '"3.3M" for block 4 of VGG': vgg_block_4,
    '"10 layers" for VGG': vgg_layers,
    '"0.6M" for LeNet5': lenet5,
    '"5M" for GoogLeNet': googlenet,
    '"2 millions" for the MLP of 3 layers': mlp3,
}


@pytest.mark.parametrize("printed", SLIPS)
def test_slip(printed: str) -> None:
    listed = {said: computed for _, said, computed, _ in section("Slips")}

    assert listed[printed] == SLIPS[printed]()


def test_every_slip_of_the_page_is_held() -> None:
    rows = section("Slips")

    assert [said for _, said, _, _ in rows] == [*SLIPS]
    assert all(deck in {"L0", "L1", "L2", "L3", "L4"} and why for deck, _, _, why in rows)


def test_every_network_of_the_page_has_its_totals() -> None:
    rows = section("Networks")

    assert len(rows) == 12
    for name, _, parameters, multiply_adds in rows:
        totals = cnncalc.analyze(name.strip("`")).totals
        assert [parameters, multiply_adds] == [
            f"{totals.parameters:,}",
            f"{totals.multiply_adds:,}",
        ]


def test_every_formula_of_the_page_is_one_that_is_printed() -> None:
    lenet, example = cnncalc.analyze("lenet").layers[0], cnncalc.analyze("conv_example").layers[0]
    strided = row([1, 28, 28], conv(1, 5, stride=2, padding=1))
    field = row([1, 20, 20], conv(1, 3), conv(1, 3)).formulas.receptive_field
    assert field is not None
    printed = {
        lenet.formulas.parameters.text,
        lenet.formulas.multiply_adds.text,
        example.formulas.parameters.text,
        strided.formulas.output_shape[1].text,
        field[0].text,
    }
    shown = {cell.strip("`") for _, _, cell, _ in section("Formulas") if "·" in cell}

    assert shown == printed


def test_the_page_names_every_deck() -> None:
    heads = DOCS.read_text(encoding="utf-8").split("## ")[0]

    assert [line[2:4] for line in heads.splitlines() if line.startswith("| L")] == [
        "L0", "L1", "L2", "L3", "L4",
    ]  # fmt: skip


def test_the_correlation_of_this_file_is_that_of_l0() -> None:
    """The oracle itself, on L0's one-dimensional examples (the second in tenths)."""
    first = correlated([[0, 0, 0, 1, 2, 3, 4, 4, 4, 4]], [[-1, 1]])
    second = correlated([[0, 0, 10, 10, 0, 1, 2, 10, 10, 10, 0]], [[1, 1]])

    assert first == "0 0 1 1 1 1 0 0 0"
    assert second == "0 10 20 10 1 3 12 20 20 10"
