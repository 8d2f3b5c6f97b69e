"""The table of a terminal: it fits, no figure is cut, and what is left out is chosen."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from support import LECTURES, bundled, by_tier, network, summarize

import cnncalc
from cnncalc.analysis.folding import fold
from cnncalc.render import render

NETWORKS = LECTURES
WIDTHS = (60, 80, 100, 120, 200)
EVERYTHING = ("name", "layer", "output", "parameters", "multiply-adds", "share", "receptive field")

LENET_AT_80 = """\
LeNet · input 1×28×28

name       layer                             output    parameters  multiply-adds
────────────────────────────────────────────────────────────────────────────────
conv1      nn.Conv2d(1, 32, kernel_size=5)   32×24×24         832        460,800
max_pool1  nn.MaxPool2d(kernel_size=3)       32×8×8             0              0
relu1      nn.ReLU()                         32×8×8             0              0
conv2      nn.Conv2d(32, 64, kernel_size=5)  64×4×4        51,264        819,200
max_pool2  nn.MaxPool2d(kernel_size=2)       64×2×2             0              0
relu2      nn.ReLU()                         64×2×2             0              0
flatten1   nn.Flatten()                      256                0              0
linear1    nn.Linear(256, 200)               200           51,400         51,200
relu3      nn.ReLU()                         200                0              0
linear2    nn.Linear(200, 10)                10             2,010          2,000
────────────────────────────────────────────────────────────────────────────────
total                                                     105,506      1,333,200

"""


def titles(text: str) -> str:
    return text.splitlines()[2]


def test_lenet_at_80_columns() -> None:
    assert render(bundled("lenet"), width=80).startswith(LENET_AT_80)


@pytest.mark.parametrize(
    "name", by_tier(["lenet", "lenet5_1998", "googlenet", "resnet50", "mlp3"], "lenet", "mlp3")
)
def test_the_table_fits_and_no_figure_is_cut(name: str) -> None:
    for shown in (bundled(name), fold(bundled(name), 1), fold(bundled(name), 2)):
        totals = shown.totals
        for width in WIDTHS[1:]:
            text = render(shown, width=width)
            assert max(map(cell_len, text.splitlines())) <= width
            assert f"{totals.parameters:,}" in text
            assert f"{totals.multiply_adds:,}" in text


def test_figures_stay_whole_where_nothing_fits() -> None:
    summary = bundled("resnet50")
    text = render(summary, columns="full", width=60)
    for row in summary.layers:
        assert f"{row.flops:,}" in text
    assert "…" not in text


@pytest.mark.parametrize("name", by_tier(NETWORKS, "lenet", "lenet5_1998", "resnet18", "vgg16"))
def test_wide_terminal_gets_what_a_file_gets(name: str) -> None:
    summary = bundled(name)
    assert render(summary, width=1000) == render(summary)


def test_narrow_terminals_do_without_columns_in_order() -> None:
    summary = bundled("lenet")

    def left_out(width: int) -> list[str]:
        shown = titles(render(summary, width=width))
        return [title for title in EVERYTHING if title not in shown]

    assert left_out(120) == []
    assert left_out(100) == ["share"]
    assert left_out(80) == ["share", "receptive field"]
    assert left_out(70) == ["layer", "share"]
    assert left_out(60) == ["layer", "share", "receptive field"]


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_that_are_asked_for_are_never_left_out(width: int) -> None:
    text = render(bundled("lenet"), columns="lecture,flops,start", width=width)
    for title in ("input", "output", "parameters", "products", "flops", "start"):
        assert title in text


def test_long_cells_are_wrapped_in_their_column() -> None:
    text = render(bundled("lenet"), columns="lecture", width=80)
    assert max(map(len, text.splitlines())) <= 80
    whole = render(bundled("lenet"), columns="lecture")
    assert {*whole.split()} - {*text.split()} <= {line for line in whole.split() if "─" in line}


def test_notes_speak_of_the_columns_that_are_left() -> None:
    summary = bundled("resnet50")
    assert "not clipped" in render(summary, width=120)
    assert "not clipped" not in render(summary, width=60)


def test_bars_are_measured_by_the_dearest_layer() -> None:
    text = render(bundled("lenet"), columns="name,share")
    assert "conv2       61.4% ████████\n" in text
    assert "conv1       34.6% ████▌\n" in text
    assert "relu1\n" in text
    assert re.search(r"^total +100%$", text, re.MULTILINE)


def test_style_adds_nothing_but_codes() -> None:
    summary = bundled("googlenet")
    for width in (60, 120, None):
        styled = render(summary, width=width, color=True)
        plain = re.sub(r"\x1b\[[\d;]*m", "", styled)
        lines = [line.rstrip() for line in plain.splitlines()]
        assert lines == render(summary, width=width).splitlines()
        assert "\x1b[1m" in styled


def test_wide_characters_take_two_places() -> None:
    spec = network([1, 4, 4], "卷积", "tanh", blocks={"卷积": {"layers": ["relu"]}})
    text = render(cnncalc.analyze(spec), columns="name,kind")
    rows = [line for line in text.splitlines() if line.endswith(("relu", "tanh"))]
    assert [cell_len(row[: -len("relu")]) for row in rows] == [len("卷积1.relu1") + 4] * 2


@pytest.mark.parametrize("repeats", by_tier([1_000, 10_000]))
def test_thousands_of_rows(repeats: int) -> None:
    summary = summarize([8], {"repeat": repeats, "layers": [{"linear": 8}, "relu"]})
    text = render(summary, width=80)
    assert text.count("\n") > 2 * repeats
