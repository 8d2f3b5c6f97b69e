"""An operation without a layer: named in every format, counted in nothing, built by nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import conv, summarize

import cnncalc
from cnncalc.analysis.folding import fold
from cnncalc.render import render

ATTENTION = {"unknown": {"operation": "aten.bmm.default", "shape": [4, 6, 6]}}
LAYERS: list[Any] = [
    {"name": "a", **conv(4, 3)},
    {"name": "b", **conv(4, 1)},
    {"name": "mix", **ATTENTION, "inputs": ["a", "b"]},
    {"layers": [{"unknown": {"operation": "aten.fft", "shape": [2, 6, 6]}}, conv(2, 1)]},
]


def test_it_is_counted_in_nothing_and_what_follows_is_counted() -> None:
    summary = summarize([3, 8, 8], *LAYERS)
    rows = {row.name: row for row in summary.layers}
    mix = rows["mix"]
    assert (mix.layer, mix.inputs) == ("aten.bmm.default", ("a", "b"))
    assert (mix.parameters, mix.frozen_parameters, mix.buffers) == (None, None, None)
    assert (mix.multiply_adds, mix.flops, mix.weight_bytes) == (None, None, None)
    assert mix.activation_bytes == 4 * 4 * 36
    assert summary.totals.parameters == 4 * 28 + 4 * 5 + 2 * 3
    assert summary.totals.multiply_adds == 36 * (4 * 27 + 16 + 4)
    assert summary.totals.uncounted == ()
    assert summary.totals.unknown == ("mix (aten.bmm.default)", "group1.unknown1 (aten.fft)")


def test_what_is_behind_it_sees_an_unknown_part_of_the_image() -> None:
    summary = summarize([3, 8, 8], *LAYERS)
    sizes = {row.name: row.receptive_field.size for row in summary.layers}
    assert sizes["b"] == (3, 3)
    assert sizes["mix"] == sizes["group1.conv1"] == (None, None)


def test_every_format_says_that_the_table_is_incomplete() -> None:
    summary = summarize([3, 8, 8], *LAYERS)
    said = "what has no layer is counted in nothing: mix (aten.bmm.default), group1.unknown1"
    for name in ("table", "markdown", "html"):
        assert said in render(summary, name)
    row = json.loads(render(summary, "json"))["layers"][2]
    assert row["parameters"] is row["multiply_adds"] is row["formulas"]["parameters"] is None
    assert json.loads(render(summary, "json"))["totals"]["unknown"][0] == "mix (aten.bmm.default)"
    assert "mix,aten.bmm.default,,," in render(
        summary, "csv", columns="name,layer,parameters,multiply_adds,flops"
    )


def test_a_folded_row_that_holds_it_is_unknown_too() -> None:
    folded = fold(summarize([3, 8, 8], *LAYERS), 1)
    row = folded.layers[-1]
    assert (row.name, row.parameters, row.multiply_adds) == ("group1", None, None)
    assert "group1.unknown1 (aten.fft)" in render(folded, "table")


@pytest.mark.parametrize("what", ["build", "verify", "source"])
def test_it_cannot_be_built(what: str, tmp_path: Any) -> None:
    if what != "source":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    network = {"input": [3, 8, 8], "layers": LAYERS}
    calls = {
        "build": lambda: cnncalc.build(network),
        "verify": lambda: cnncalc.verify(network),
        "source": lambda: cnncalc.export(network, tmp_path / "net.py"),
    }
    with pytest.raises(cnncalc.SpecError, match=r"mix: aten\.bmm\.default has no layer: the net"):
        calls[what]()


def test_no_other_layer_takes_several_inputs() -> None:
    with pytest.raises(cnncalc.SpecError, match="relu takes one input; received 2"):
        summarize([3, 8, 8], LAYERS[0], LAYERS[1], {"relu": {}, "inputs": ["a", "b"]})
