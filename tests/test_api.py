"""cnncalc in Python: the exported names, loading, analysing, printing, errors."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support import network

import cnncalc
from cnncalc.render import render

NAMES = [
    "Architecture",
    "CnncalcError",
    "IncompleteWarning",
    "LayerSummary",
    "OutputError",
    "ReceptiveField",
    "SpecError",
    "Summary",
    "Totals",
    "UsageError",
    "Verification",
    "__version__",
    "analyze",
    "load",
]
SPEC = """\
name: Small
input: [3, "=side", "=side"]
parameters: {side: 8, width: 4}
variants:
  wide: {width: 16}
layers:
  - conv: {out_channels: =width, kernel_size: 3}
  - relu
"""


def test_example_of_the_design() -> None:
    loaded = cnncalc.load("lenet.yaml")
    summary = cnncalc.analyze(loaded)

    assert isinstance(loaded, cnncalc.Architecture)
    assert isinstance(summary, cnncalc.Summary)
    assert summary.layers[0].parameters == 832
    assert summary.totals.multiply_adds == 1_333_200


def test_exported_names() -> None:
    assert cnncalc.__all__ == NAMES
    others = ["build", "evaluate", "export", "load_weights", "predict", "resume", "train", "verify"]
    others.append("analyze_module")
    assert dir(cnncalc) == sorted([*NAMES, *others])
    for name in cnncalc.__all__:
        assert getattr(cnncalc, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'cnncalc' has no attribute 'analyse'"):
        _ = cnncalc.analyse


def test_summary_prints_as_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    summary = cnncalc.analyze("lenet")
    print(summary)  # noqa: T201 - what a reader of the README does

    printed = capsys.readouterr().out
    assert printed.rstrip() == render(summary, "table").rstrip()
    assert "nn.Conv2d(32, 64, kernel_size=5)" in printed
    assert "1,333,200" in printed
    assert "biases not counted" in printed


def test_summary_is_a_table_in_a_notebook() -> None:
    summary = cnncalc.analyze("lenet")
    root = ET.fromstring(summary._repr_html_())

    assert root.tag == "table"
    cells = ["".join(cell.itertext()) for cell in root.iter("td")]
    assert {"32×24×24", "51,264", "1,333,200"} <= {*cells}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_load_from_path_text_and_data_are_the_same(file: Path) -> None:
    data = {
        "name": "Small",
        "input": [3, "=side", "=side"],
        "parameters": {"side": 8, "width": 4},
        "variants": {"wide": {"width": 16}},
        "layers": [{"conv": {"out_channels": "=width", "kernel_size": 3}}, "relu"],
    }
    summaries = [cnncalc.analyze(spec) for spec in (file, str(file), data, cnncalc.load(data))]

    assert all(summary == summaries[0] for summary in summaries)
    assert summaries[0].output_shape == (4, 6, 6)


def test_load_from_standard_input(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(file.read_bytes()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)

    assert cnncalc.analyze("-") == cnncalc.analyze(file)


def test_overrides(file: Path) -> None:
    def parameters(**options: Any) -> int:
        return cnncalc.analyze(cnncalc.load(file, **options)).totals.parameters

    assert parameters() == 4 * (27 + 1)
    assert parameters(variant="wide") == 16 * (27 + 1)
    assert parameters(parameters={"width": 5}) == 5 * (27 + 1)
    assert parameters(variant="wide", parameters={"width": 5}) == 5 * (27 + 1)
    assert parameters(input=[1, 8, 8]) == 4 * (9 + 1)
    assert parameters(input="1x8x8") == 4 * (9 + 1)
    assert cnncalc.analyze(cnncalc.load(file, parameters={"side": 5})).output_shape == (4, 3, 3)


def test_bundled_names_and_variants() -> None:
    small, large = cnncalc.load("resnet18"), cnncalc.load("resnet", variant="resnet152")

    assert small.title == "resnet18"
    assert cnncalc.analyze(large).totals.parameters == 60_192_808
    assert cnncalc.load("resnet152.yaml").title == "resnet152"


def test_loading_again_or_configuring_leaves_the_first_alone(file: Path) -> None:
    first = cnncalc.load(file)
    before = cnncalc.analyze(first)
    other = first.configured(variant="wide", input=[1, 8, 8])

    assert cnncalc.analyze(other) != before
    assert cnncalc.analyze(first) == before


def test_summary_cannot_be_changed() -> None:
    summary = cnncalc.analyze("mlp1")
    for thing, name in (
        (summary, "layers"),
        (summary.layers[0], "parameters"),
        (summary.totals, "flops"),
    ):
        with pytest.raises(AttributeError):
            setattr(thing, name, 0)
    assert isinstance(summary.layers, tuple)
    assert isinstance(summary.layers[0].receptive_field, cnncalc.ReceptiveField)
    assert isinstance(summary.layers[0], cnncalc.LayerSummary)
    assert isinstance(summary.totals, cnncalc.Totals)


def test_totals_are_the_sums_of_the_rows() -> None:
    summary = cnncalc.analyze("googlenet", dtype="float16", batch_size=3)
    for name in (
        "parameters",
        "frozen_parameters",
        "buffers",
        "multiply_adds",
        "weight_bytes",
        "activation_bytes",
    ):
        total = sum(getattr(row, name) for row in summary.layers)
        assert getattr(summary.totals, name) == total


def test_dtype_and_batch_size() -> None:
    single, double = cnncalc.analyze("lenet"), cnncalc.analyze("lenet", dtype="float64")
    batch = cnncalc.analyze("lenet", batch_size=8)

    assert double.totals.weight_bytes == 2 * single.totals.weight_bytes == 8 * 105_506
    assert batch.totals.weight_bytes == single.totals.weight_bytes
    assert batch.totals.multiply_adds == 8 * single.totals.multiply_adds
    assert batch.totals.activation_bytes == 8 * single.totals.activation_bytes


def test_errors_know_file_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("input: [1, 8, 8]\nlayers:\n  - relu\n  - conv: {out_chanels: 4}\n")

    with pytest.raises(cnncalc.SpecError) as caught:
        cnncalc.analyze(file)

    error = caught.value
    assert (error.file, error.line, error.column) == (str(file), 4, 12)
    assert error.path == "conv.out_chanels"
    assert error.hint == "did you mean out_channels?"
    assert str(error).startswith(f"{file}:4:12: conv.out_chanels: unknown field")
    assert isinstance(error, cnncalc.CnncalcError)


def test_errors_in_data_have_no_place() -> None:
    with pytest.raises(cnncalc.SpecError, match=r"conv\.out_chanels: unknown field") as caught:
        cnncalc.analyze(network([1, 8, 8], {"conv": {"out_chanels": 4}}))

    assert (caught.value.file, caught.value.line, caught.value.column) == (None, None, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cnncalc.load("lenett"), "did you mean lenet"),
        (lambda: cnncalc.load("lenet", input="3xx"), "is no input shape; write it as 3x256x256"),
        (lambda: cnncalc.analyze("lenet", dtype="float31"), "did you mean float32"),
        (lambda: cnncalc.analyze("lenet", batch_size=0), "received 0"),
        (lambda: render(cnncalc.analyze("mlp1"), "jsn"), "did you mean json"),
        (lambda: render(cnncalc.analyze("mlp1"), columns="prameters"), "parameters?"),
        (lambda: render(cnncalc.analyze("mlp1"), columns=[]), "no columns are named"),
        (lambda: render(cnncalc.analyze("mlp1"), "json", columns="name"), "every figure"),
    ],
)
def test_wrong_calls_are_usage_errors(call: Any, message: str) -> None:
    with pytest.raises(cnncalc.UsageError) as caught:
        call()
    assert message in str(caught.value)


def test_a_summary_renders_itself() -> None:
    summary = cnncalc.analyze("mlp1")
    assert summary.render("csv", columns="name,parameters") == render(
        summary, "csv", columns="name,parameters"
    )
    assert repr(summary) == "<Summary of MLP, 1 layer: 2 layers>"


def test_flops_are_those_of_the_whole_batch() -> None:
    one, batch = cnncalc.analyze("lenet"), cnncalc.analyze("lenet", batch_size=32)
    assert batch.totals.flops == 32 * one.totals.flops
    assert [row.flops for row in batch.layers] == [32 * (row.flops or 0) for row in one.layers]
