"""What every format shows: the same figures, whoever reads them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from support import LECTURES, bundled, by_tier, cnncalc_output, conv, network, summarize
from support.formulas import evaluate

import cnncalc
from cnncalc.render import render
from cnncalc.render.figures import scale, scale_bytes

if TYPE_CHECKING:
    from markdown_it.token import Token

    from cnncalc import Summary

NETWORKS = LECTURES
TRICKY = r"A|B *c* _d_ `e` <b>f</b> & $g$ [h](i) ~~j~~ {k} %l #m ^n \o é “p” 5_q"
LECTURE = [
    ["1×28×28 · nn.Conv2d(1, 32, kernel_size=5)", "32×24×24", "832", "460,800"],
    ["32×24×24 · nn.MaxPool2d(kernel_size=3)", "32×8×8", "0", "0"],
    ["32×8×8 · nn.ReLU()", "32×8×8", "0", "0"],
    ["32×8×8 · nn.Conv2d(32, 64, kernel_size=5)", "64×4×4", "51,264", "819,200"],
    ["64×4×4 · nn.MaxPool2d(kernel_size=2)", "64×2×2", "0", "0"],
    ["64×2×2 · nn.ReLU()", "64×2×2", "0", "0"],
    ["64×2×2 · nn.Flatten()", "256", "0", "0"],
    ["256 · nn.Linear(256, 200)", "200", "51,400", "51,200"],
    ["200 · nn.ReLU()", "200", "0", "0"],
    ["200 · nn.Linear(200, 10)", "10", "2,010", "2,000"],
    ["total", "", "105,506", "1,333,200"],
]


def rows_of_markdown(text: str) -> list[list[str]]:
    """The cells of the one table of a page, as GitHub's dialect reads them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    assert [token.type for token in tokens].count("table_open") == 1
    rows: list[list[str]] = []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("td_open", "th_open"):
            rows[-1].append(plain(token))
    return rows


def plain(token: Token) -> str:
    """The text of an inline token, which may hold nothing but text and bold."""
    parts = token.children or []
    assert {part.type for part in parts} <= {"text", "text_special", "strong_open", "strong_close"}
    return "".join(part.content for part in parts)


def rows_of_html(text: str) -> list[list[str]]:
    table = ET.fromstring(text)
    return [
        ["".join(cell.itertext()) for cell in row]
        for part in ("thead", "tbody", "tfoot")
        for row in table.findall(f"{part}/tr")
        if not any(cell.get("colspan") for cell in row)
    ]


def rows_of_table(text: str) -> list[list[str]]:
    """The cells of the table of a terminal; rules and notes left out."""
    body = text.split("\n\n")[1]
    lines = [line for line in body.splitlines() if not line.startswith("─")]
    starts = [match.start() for match in re.finditer(r"(?:^|(?<=  ))\S", lines[0])]
    ends = [*starts[1:], None]
    return [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]


READERS = {"markdown": rows_of_markdown, "html": rows_of_html}


def rendered(summary: Summary, form: str, **options: Any) -> list[list[str]]:
    return READERS[form](render(summary, form, **options))


@pytest.mark.parametrize("form", READERS)
def test_lecture_table_of_lenet(form: str) -> None:
    head, *rows = rendered(bundled("lenet"), form, columns="lecture")

    assert head == ["input / layer", "output", "# parameters", "# products"]
    assert len(rows) == len(LECTURE)
    for row, expected in zip(rows, LECTURE, strict=True):
        assert row[:2] == expected[:2]
        for cell, figure in zip(row[2:], expected[2:], strict=True):
            formula, equals, result = cell.rpartition(" = ")
            assert result == figure
            if equals:
                assert evaluate(formula) == int(figure.replace(",", ""))


@pytest.mark.parametrize("name", by_tier(NETWORKS, "lenet", "googlenet", "resnet18", "mlp1", "vgg"))
def test_formats_for_people_show_the_same_cells(name: str) -> None:
    summary = bundled(name)
    for columns in ("default", "lecture", "weights", "full"):
        table = rendered(summary, "markdown", columns=columns)
        assert rendered(summary, "html", columns=columns) == table
        assert len({len(row) for row in table}) == 1
        assert [row[0] for row in table][1:2] == [table[1][0]]


@pytest.mark.parametrize("name", ["lenet", "resnet18", "mlp1"])
def test_terminal_table_shows_them_too(name: str) -> None:
    summary = bundled(name)
    columns = "name,layer,output,receptive_field"
    assert rows_of_table(render(summary, columns=columns)) == rendered(
        summary, "markdown", columns=columns
    )


@pytest.mark.parametrize("form", READERS)
def test_names_and_sources_are_shown_as_they_are(form: str) -> None:
    summary = summarize([1, 4, 4], "relu", name=TRICKY, source=TRICKY + "\n\x1b[31mred")
    text = render(summary, form)
    if form == "html":
        table = ET.fromstring(text)
        title = "".join(table.findall("caption")[0].itertext())
        last = "".join([*table.iter("td")][-1].itertext())
    else:
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        inline = [plain(token) for token in tokens if token.type == "inline"]
        title, last = inline[0], inline[-1]

    assert title == f"{TRICKY} · input 1×4×4"
    assert last == f"source: {TRICKY}\\n\\x1b[31mred"


def test_markdown_aligns_figures_to_the_right() -> None:
    lines = render(bundled("lenet"), "markdown").splitlines()
    assert lines[3] == "| --- | --- | --- | ---: | ---: | ---: | --- |"
    assert lines[-4].startswith("- parameters: learnable numbers")


def test_html_is_one_table_that_brings_all_it_needs() -> None:
    text = render(bundled("resnet18"), "html")
    table = ET.fromstring(text)
    assert text.isascii()
    assert [part.tag for part in table] == ["caption", "thead", "tbody", "tfoot"]
    assert {element.tag for element in table.iter()} == {
        "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td",
    }  # fmt: skip
    assert {*(key for element in table.iter() for key in element.attrib)} == {
        "style", "scope", "colspan",
    }  # fmt: skip
    notes = [cell for cell in table.iter("td") if cell.get("colspan")]
    assert {cell.get("colspan") for cell in notes} == {str(len(table.findall("thead/tr/th")))}
    assert any("biases not counted" in (cell.text or "") for cell in notes)


def test_html_draws_the_dearest_layer_at_full_length() -> None:
    text = render(bundled("lenet"), "html", columns="name,share")
    bars = [float(bar) for bar in re.findall(r" ([\d.]+)%,transparent", text)]
    assert bars == pytest.approx(
        [100 * 460_800 / 819_200, 100, 6.25, 100 * 2_000 / 819_200], abs=0.1
    )


def test_every_column_can_be_asked_for_in_every_format() -> None:
    from cnncalc.render.columns import COLUMNS, PRESETS

    summary = bundled("lenet")
    for column in COLUMNS:
        for form in ("table", "markdown", "csv", "latex", "html"):
            assert render(summary, form, columns=column.name)
    assert {*PRESETS} == {"default", "lecture", "weights", "full"}


def test_presets_mix_with_columns_and_nothing_comes_twice() -> None:
    head = rendered(bundled("lenet"), "markdown", columns=" name , weights,name, products")[0]
    assert head == ["name", "layer", "output", "weight size", "multiply-adds"]


def test_weights_table_of_l2() -> None:
    rows = rendered(bundled("lenet5"), "markdown", columns="weights")
    sizes = [row[2] for row in rows[1:] if row[2] != "–"]
    assert [size.split(", ")[0] for size in sizes] == [
        "20×1×5×5", "50×20×5×5", "500×2450", "10×500",
    ]  # fmt: skip
    assert rows[-1][0] == "nn.Linear(500, 10)", "no column has a sum: no row of totals"


@pytest.mark.parametrize("form", ["table", "markdown", "latex", "html"])
def test_notes_explain_the_columns_that_are_there(form: str) -> None:
    summary = bundled("lenet")

    def explained(columns: str) -> tuple[bool, bool, bool]:
        text = render(summary, form, columns=columns)
        return "biases not counted" in text, "per multiply-add" in text, "not clipped" in text

    assert explained("lecture") == (True, False, False)
    assert explained("name,flops") == (True, True, False)
    assert explained("name,jump") == (True, False, True)
    assert explained("full") == (True, True, True)


def test_notes_tell_totals_batch_dtype_and_source() -> None:
    network = cnncalc.load("vgg16")
    text = render(cnncalc.analyze(network, dtype="float16", batch_size=2))
    assert (
        "\n138.4 M parameters, 30.9 G multiply-adds for a batch of 2;"
        " float16: weights 263.9 MiB, activations " in text
    )
    assert text.splitlines()[-1] == f"source: {network.source}"


def test_notes_name_what_is_not_counted_or_not_followed() -> None:
    summary = summarize(
        [1, 2**18 + 2],
        {"upsample": {"scale_factor": 2, "mode": "linear"}},
        {**conv(1, 1), "frozen": True},
    )
    text = render(summary, columns="name,flops,receptive_field")
    assert "\nflops of upsample are not counted\n" in text
    assert "\na dash for a receptive field: too many units to follow one by one\n" in text
    assert "\n0 parameters and 2 frozen, " in text
    assert re.search(r"^upsample1 +– +–$", text, re.MULTILINE)


def test_equal_inputs_of_a_join_are_counted() -> None:
    summary = summarize([1, 4, 4], {"concat": [[], [], ["relu"]]}, {"add": [[], ["relu"]]})
    rows = rendered(summary, "markdown", columns="name,input")
    assert ["concat1", "3 of 1×4×4"] in rows
    assert ["add1", "3×4×4, 3×4×4"] in rows


def test_share_of_little_is_not_written_as_nothing() -> None:
    summary = summarize([1, 64, 64], conv(1, 1), conv(64, 15), "flatten", {"linear": 1})
    shares = [row[1] for row in rendered(summary, "markdown", columns="name,share")[1:]]
    assert shares == ["<0.1%", "99.5%", "", "0.4%", "100%"]


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "lenet5_1998"])
@pytest.mark.parametrize("depth", ["1", "2", "9"])
def test_folded_rows_hold_what_they_fold(name: str, depth: str) -> None:
    def read(*options: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(
            cnncalc_output("summarize", name, "--format", "json", *options)
        )
        return data

    whole, folded = read(), read("--depth", depth)
    names = ["input", *(row["name"] for row in folded["layers"])]

    assert folded["totals"] == whole["totals"]
    assert len({*names}) == len(names)
    assert all(len(row.split(".")) <= int(depth) for row in names)
    for row in folded["layers"]:
        inside = [
            layer
            for layer in whole["layers"]
            if layer["name"].split(".")[: int(depth)] == row["name"].split(".")
        ]
        for figure in ("parameters", "multiply_adds", "flops", "buffers", "activation_bytes"):
            figures = [layer[figure] for layer in inside]
            assert row[figure] == (None if None in figures else sum(figures))
        assert row["output_shape"] == inside[-1]["output_shape"]
        assert row["receptive_field"] == inside[-1]["receptive_field"]
        assert {*row["inputs"]} <= {*names}
        for figure in ("parameters", "multiply_adds"):
            assert evaluate(row["formulas"][figure]) == row[figure]
    if depth == "9":
        assert folded == whole


def test_fold_does_not_count_the_unknown_as_nothing() -> None:
    from cnncalc.analysis.folding import fold

    upsample = {"upsample": {"scale_factor": 2, "mode": "bilinear"}}
    summary = summarize([1, 4, 4], {"layers": ["relu", upsample], "name": "up"}, "relu")
    folded = fold(summary, 1)

    assert [row.flops for row in folded.layers] == [None, 64]
    assert folded.totals == summary.totals
    assert folded.totals.flops is None
    assert folded.totals.uncounted == ("upsample",)


def test_fold_keeps_every_input_from_outside() -> None:
    from cnncalc.analysis.folding import fold

    branches = {"add": [[{"layers": ["relu", "tanh"], "name": "left"}], []]}
    summary = cnncalc.analyze(network([2, 4, 4], {**conv(2, 1), "name": "first"}, branches))
    assert [(row.name, row.inputs) for row in fold(summary, 1).layers] == [
        ("first", ("input",)),
        ("add1", ("first",)),
    ]
    assert [(row.name, row.layer) for row in fold(summary, 2).layers] == [
        ("first", "nn.Conv2d(2, 2, kernel_size=1)"),
        ("add1.branch1", "branch of 2 layers"),
        ("add1", "nn.Add()"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999_999, "999,999"),
        (10**6, "1.0 M"),
        (10**9 - 10**8, "900.0 M"),
        (10**9, "1.0 G"),
        (10**12, "1.0 T"),
        (10**15, "1.0 P"),
    ],
)
def test_a_prefix_begins_at_its_own_size(value: int, text: str) -> None:
    assert scale(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1023, "1023 B"), (1024, "1.0 KiB"), (2**20, "1.0 MiB"), (2**30, "1.0 GiB")],
)
def test_so_does_one_of_bytes(value: int, text: str) -> None:
    assert scale_bytes(value) == text
