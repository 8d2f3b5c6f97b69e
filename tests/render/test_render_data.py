"""CSV and JSON: exact figures, under names that stay."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support import bundled, conv, representatives, summarize
from support.formulas import evaluate, evaluate_shape

import cnncalc
from cnncalc.render import render

NETWORKS = representatives()


def rows_of_csv(text: str) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(text))]


@pytest.mark.parametrize("name", NETWORKS)
def test_csv_is_exact_and_sums_to_its_last_row(name: str) -> None:
    summary = bundled(name)
    *rows, total = rows_of_csv(render(summary, "csv"))

    assert total["name"] == "total"
    assert [row["name"] for row in rows] == [layer.name for layer in summary.layers]
    for figure in (
        "parameters",
        "frozen_parameters",
        "buffers",
        "multiply_adds",
        "flops",
        "weight_bytes",
        "activation_bytes",
    ):
        values = [int(row[figure]) if row[figure] else None for row in rows]
        assert values == [getattr(layer, figure) for layer in summary.layers]
        whole = None if None in values else sum(values)
        assert getattr(summary.totals, figure) == whole
        assert total[figure] == ("" if whole is None else str(whole))
    for row, layer in zip(rows, summary.layers, strict=True):
        assert tuple(map(int, row["output_shape"].split("x"))) == layer.output_shape
        assert evaluate(row["parameters_formula"]) == layer.parameters
        assert evaluate_shape(row["output_formula"]) in ([*layer.output_shape], [_size(layer)])


def _size(layer: cnncalc.LayerSummary) -> int:
    return layer.output_shape[0]


def test_csv_of_the_lecture_has_figures_beside_formulas() -> None:
    lines = render(bundled("lenet"), "csv", columns="lecture").splitlines()
    assert lines[0] == (
        "input_shape,layer,output_shape,"
        "parameters,parameters_formula,multiply_adds,multiply_adds_formula"
    )
    assert lines[1] == (
        '1x28x28,"nn.Conv2d(1, 32, kernel_size=5)",32x24x24,832,32·(5²·1 + 1),460800,32·24²·5²·1'
    )
    assert lines[-1] == "total,,,105506,,1333200,"


def test_csv_of_chosen_columns() -> None:
    summary = bundled("lenet")
    text = render(summary, "csv", columns=["name", "products", "share"])
    rows = rows_of_csv(text)
    assert [*rows[0]] == ["name", "multiply_adds", "share"]
    assert sum(float(row["share"]) for row in rows[:-1]) == pytest.approx(1)
    worked = render(summary, "csv", columns="name,output,parameters", formulas=True)
    assert worked.splitlines()[0] == (
        "name,output_shape,output_formula,parameters,parameters_formula"
    )


def test_csv_without_sums_has_no_last_row() -> None:
    rows = rows_of_csv(render(bundled("lenet"), "csv", columns="name,kind"))
    assert [row["kind"] for row in rows][-1] == "linear"


def test_csv_leaves_unknown_figures_empty() -> None:
    summary = summarize([1, 4, 4], {"upsample": {"scale_factor": 2, "mode": "bilinear"}}, "flatten")
    first, second, total = rows_of_csv(render(summary, "csv"))
    assert (first["flops"], total["flops"], total["name"]) == ("", "", "total")
    assert (second["receptive_field"], second["jump"]) == ("4x4", "")


def test_json_is_that_of_the_contract() -> None:
    text = render(bundled("lenet"), "json")
    data = json.loads(text)
    first = data["layers"][0]
    output_formula = first["formulas"].pop("output_shape")

    assert {key: data[key] for key in ("schema_version", "name", "input_shape")} == {
        "schema_version": 1,
        "name": "LeNet",
        "input_shape": [1, 28, 28],
    }
    contract = {
        "name": "conv1",
        "kind": "conv",
        "layer": "nn.Conv2d(1, 32, kernel_size=5)",
        "inputs": ["input"],
        "input_shapes": [[1, 28, 28]],
        "output_shape": [32, 24, 24],
        "weights": {"weight": [32, 1, 5, 5], "bias": [32]},
        "parameters": 832,
        "frozen_parameters": 0,
        "buffers": 0,
        "multiply_adds": 460800,
        "flops": 940032,
        "receptive_field": {"size": [5, 5], "jump": [1, 1], "start": [0, 0]},
        "weight_bytes": 3328,
        "activation_bytes": 73728,
    }
    assert {key: first[key] for key in contract} == contract
    assert first["formulas"]["parameters"] == "32·(5²·1 + 1)"
    assert first["formulas"]["multiply_adds"] == "32·24²·5²·1"
    assert evaluate_shape(output_formula) == [32, 24, 24]
    assert {*first} - {*contract} == {"formulas"}
    assert {key: value for key, value in data["totals"].items() if key != "flops"} == {
        "parameters": 105506,
        "frozen_parameters": 0,
        "buffers": 0,
        "multiply_adds": 1333200,
        "weight_bytes": 422024,
        "activation_bytes": sum(row["activation_bytes"] for row in data["layers"]),
        "receptive_field": {"size": [28, 28], "jump": None, "start": [0, 0]},
        "uncounted": [],
        "complete": True,
    }
    assert text.count("\n") == len(data["layers"]) + 12


def test_json_of_a_network_without_spatial_axes() -> None:
    data = json.loads(render(summarize([4], {"linear": 2}), "json"))
    assert data["totals"]["receptive_field"] == {"size": [], "jump": [], "start": []}


def test_json_names_what_is_not_counted_and_what_is_shared() -> None:
    data = json.loads(
        render(
            summarize(
                [4, 8, 8],
                {**conv(4, 1), "name": "a", "frozen": True},
                {**conv(4, 1), "shares": "a"},
                {"upsample": {"scale_factor": 2, "mode": "bilinear"}},
            ),
            "json",
        )
    )
    frozen, shared, upsampled = data["layers"]
    assert data["totals"]["uncounted"] == ["upsample"]
    assert upsampled["flops"] is None
    assert upsampled["formulas"]["flops"] is None
    assert (frozen["parameters"], frozen["frozen_parameters"]) == (0, 20)
    assert frozen["formulas"]["frozen_parameters"] == "4·(1²·4 + 1)"
    assert (shared["shares"], shared["parameters"]) == ("a", 0)


def test_json_holds_exact_integers_however_large() -> None:
    summary = summarize([2**20], {"linear": 2**30})
    data = json.loads(render(summary, "json"))
    assert data["totals"]["multiply_adds"] == 2**50
    assert data["totals"]["parameters"] == 2**50 + 2**30
