"""The table of a terminal: it fits, nothing is cut, and what is left out is chosen."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import bundled, conv, network, summarize

import cnncalc
from cnncalc import bundled as files
from cnncalc.folding import fold
from cnncalc.render.layout import Track, cell_width, draw, fill, wrap

TITLE = re.compile(r"\S+(?: \S+)*")
NETWORKS = [variant or file.stem for file, variant in files.entries()]
WIDTHS = (60, 80, 100, 120, 200)
COLUMNS = (None, "lecture", "weights", "full")
TITLES = {
    "name", "kind", "layer", "input", "output", "parameters", "frozen", "buffers", "multiply-adds",
    "share", "flops", "receptive field", "jump", "start", "weights", "activations",
}  # fmt: skip


def titles(text: str) -> list[str]:
    """The titles of every band, those over two lines put together again."""
    found = []
    for band in text.split("\n\n")[1:]:
        head = []
        for line in band.splitlines():
            if line.startswith("─"):
                break
            head.append([(m.start(), m.end(), m.group()) for m in TITLE.finditer(line)])
        else:
            continue  # the notes
        *above, last = head
        for start, end, word in last:
            over = [w for line in above for a, b, w in line if a < end and b > start]
            found.append("".join(w if w.endswith("-") else f"{w} " for w in over) + word)
    return found


LENET_AT_80 = """\
LeNet · input 1×28×28

                                                                   multiply-
name       layer                             output    parameters       adds
────────────────────────────────────────────────────────────────────────────
conv1      nn.Conv2d(1, 32, kernel_size=5)   32×24×24         832    460,800
max_pool1  nn.MaxPool2d(kernel_size=3)       32×8×8             0          0
relu1      nn.ReLU()                         32×8×8             0          0
conv2      nn.Conv2d(32, 64, kernel_size=5)  64×4×4        51,264    819,200
max_pool2  nn.MaxPool2d(kernel_size=2)       64×2×2             0          0
relu2      nn.ReLU()                         64×2×2             0          0
flatten1   nn.Flatten()                      256                0          0
linear1    nn.Linear(256, 200)               200           51,400     51,200
relu3      nn.ReLU()                         200                0          0
linear2    nn.Linear(200, 10)                10             2,010      2,000
────────────────────────────────────────────────────────────────────────────
total                                                     105,506  1,333,200

"""


def test_lenet_at_80_columns() -> None:
    assert cnncalc.render(bundled("lenet"), width=80).startswith(LENET_AT_80)


@pytest.mark.parametrize("name", ["lenet", "lenet5_1998", "googlenet", "resnet50", "mlp3"])
def test_every_table_fits_and_no_figure_is_cut(name: str) -> None:
    summary = bundled(name)
    for shown in (summary, fold(summary, 1), fold(summary, 2)):
        for columns, formulas in product(COLUMNS, (False, True)):
            whole = cnncalc.render(shown, columns=columns, formulas=formulas)
            figures = {*re.findall(r"\d[\d,.]*", whole)}
            for width in WIDTHS:
                text = cnncalc.render(shown, columns=columns, formulas=formulas, width=width)
                assert max(map(cell_width, text.splitlines())) <= width
                assert {*re.findall(r"\d[\d,.]*", text)} <= figures


@pytest.mark.parametrize("name", NETWORKS)
def test_wide_terminal_gets_what_a_file_gets(name: str) -> None:
    summary = bundled(name)
    assert cnncalc.render(summary, width=1000) == cnncalc.render(summary)


def test_narrow_terminals_do_without_columns_in_order() -> None:
    summary = bundled("lenet")
    everything = ["name", "layer", "output", "parameters", "multiply-adds", "share",
                  "receptive field"]  # fmt: skip

    def left_out(width: int) -> list[str]:
        shown = titles(cnncalc.render(summary, width=width))
        return [title for title in everything if title not in shown]

    assert left_out(120) == []
    assert left_out(100) == ["share"]
    assert left_out(80) == ["share", "receptive field"]
    assert left_out(70) == ["layer"]
    assert left_out(60) == ["layer", "share"]
    assert left_out(50) == ["layer", "share", "receptive field"]


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_that_are_asked_for_are_never_left_out(width: int) -> None:
    summary = bundled("resnet50")
    text = cnncalc.render(summary, columns="full", width=width)
    assert {*titles(text)} == TITLES
    for band in text.split("\n\n")[1:-1]:
        assert titles(f"\n\n{band}")[0] == "name"
        assert len(re.findall(r"^linear1 ", band, re.MULTILINE)) == 1


def test_long_names_are_broken_at_their_dots() -> None:
    text = cnncalc.render(bundled("resnet50"), columns="name,parameters", width=48)
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("stage1"))
    assert lines[start : start + 2] == [
        "stage1.bottleneck1.residual1.body.         4,096",
        "  conv_bn1.conv1",
    ]


def test_formulas_are_broken_outside_brackets() -> None:
    summary = summarize([3, 224, 224], conv(64, 7, stride=2, padding=3))
    text = cnncalc.render(summary, columns="output", formulas=True, width=40)
    assert "64 × (⌊(224 + 2·3 − 7)/2⌋ + 1)\n  × (⌊(224 + 2·3 − 7)/2⌋ + 1)\n  = 64×112×112\n" in text


def test_notes_keep_figures_and_units_together() -> None:
    summary = bundled("lenet")
    for width in range(20, 100):
        text = cnncalc.render(summary, width=width)
        assert not re.search(r"^ *[KMGT]i?B\b", text, re.MULTILINE)
        assert "1.3 M" in text


def test_notes_speak_of_the_columns_that_are_left() -> None:
    summary = bundled("resnet50")
    assert "not clipped" in cnncalc.render(summary, width=120)
    assert "not clipped" not in cnncalc.render(summary, width=60)


def test_bars_are_measured_by_the_dearest_layer() -> None:
    text = cnncalc.render(bundled("lenet"), columns="name,share")
    assert "conv2      61.4% ████████\n" in text
    assert "conv1      34.6% ████▌\n" in text
    assert "relu1\n" in text
    assert re.search(r"^total +100%$", text, re.MULTILINE)


def test_style_adds_nothing_but_codes() -> None:
    summary = bundled("googlenet")
    for width in (60, 120, None):
        styled = cnncalc.render(summary, width=width, color=True)
        assert re.sub(r"\x1b\[\d+m", "", styled) == cnncalc.render(summary, width=width)
        assert styled.count("\x1b[0m") == len(re.findall(r"\x1b\[[12]m", styled)) > 0


def test_wide_characters_take_two_places() -> None:
    spec = network([1, 4, 4], "卷积", "tanh", blocks={"卷积": {"layers": ["relu"]}})
    text = cnncalc.render(cnncalc.analyze(spec), columns="name,kind")
    rows = [line for line in text.splitlines() if line.endswith(("relu", "tanh"))]
    assert [cell_width(row[: -len("relu")]) for row in rows] == [len("卷积1.relu1") + 4] * 2


def test_twenty_thousand_rows_take_no_minute() -> None:
    from time import perf_counter

    summary = summarize([8], {"repeat": 10_000, "layers": [{"linear": 8}, "relu"]})
    begin = perf_counter()
    text = cnncalc.render(summary, width=80)
    assert text.count("\n") > 20_000
    assert perf_counter() - begin < 20


# The layout itself


WORDS = st.lists(
    st.sampled_from(["a", "bb", "ccc", "12,345", "×", "= 7", "k_1.b2", "f(x)"]), min_size=1
)


@given(WORDS.map(" ".join), st.integers(4, 40))
def test_wrapping_loses_nothing_and_fits_where_it_can(text: str, width: int) -> None:
    for lines in (wrap(text, width), fill(text, width)):
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(line == line.rstrip() and line for line in lines)
        for line in lines:
            operands = [word for word in line.split() if word not in ("×", "=")]
            assert cell_width(line) <= width or len(operands) <= 1


@given(
    st.lists(st.lists(WORDS.map(" ".join), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(10, 80),
    st.booleans(),
)
def test_drawing_loses_nothing(columns: list[list[str]], width: int, right: bool) -> None:
    tracks = [Track(f"t{n}", cells, right=right) for n, cells in enumerate(columns)]
    text = "\n".join(draw(tracks, width, total=False))
    for track in tracks:
        assert track.title in text
        for cell in track.cells:
            assert all(word in text for word in re.split(r"[ .(]", cell))
