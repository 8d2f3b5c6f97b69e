"""Totals from which something was left out say so, wherever they are shown."""

from __future__ import annotations

import csv
import json
import warnings
from html import unescape
from io import StringIO
from typing import Any

import pytest
from support import conv, network
from support.processes import invoke

import cnncalc
from cnncalc.analysis.folding import fold
from cnncalc.render import render

UNKNOWN = {"unknown": {"operation": "aten.fft", "shape": [2, 6, 6]}}
NAMED = {
    *("parameters", "frozen_parameters", "buffers", "multiply_adds", "flops", "weight_bytes"),
    "activation_bytes",
}
"""Figures that are asked about here; another may be declared."""
HEAD = {"left_out": {"parameters": {"aux.weight": 30, "aux.bias": 3}}}
SECOND = {"left_out": {"outputs": ["aux"]}}


def summary(*layers: Any, **keys: Any) -> cnncalc.Summary:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cnncalc.analyze(network([3, 8, 8], conv(2, 3), *layers, name="net", **keys))


CASES: dict[str, tuple[cnncalc.Summary, set[str], str]] = {
    "a layer": (
        summary(UNKNOWN),
        {"parameters", "frozen_parameters", "buffers", "multiply_adds", "flops", "weight_bytes"},
        "incomplete, what has no layer is counted in nothing: unknown1 (aten.fft)",
    ),
    "parameters": (
        summary(imported=HEAD),
        {"parameters", "weight_bytes"},
        "incomplete, parameters left out: 33 of aux.weight, aux.bias",
    ),
    "an output": (
        summary(imported=SECOND),
        {
            *("parameters", "frozen_parameters", "buffers", "multiply_adds", "flops"),
            *("weight_bytes", "activation_bytes"),
        },
        "incomplete, outputs left out: aux",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_format_says_so(case: str) -> None:
    found, at_least, note = CASES[case]
    assert not found.totals.complete
    assert found.totals.at_least & NAMED == at_least
    data = json.loads(render(found, "json"))["totals"]
    assert data["complete"] is False
    assert data["parameters"] == 56
    columns = "name,parameters,multiply_adds,activation_bytes"
    for name in ("table", "markdown", "html"):
        text = unescape(render(found, name, columns=columns))
        assert "≥ 56" in text
        assert ("≥ 1,944" in text) == ("multiply_adds" in at_least)
        assert ("≥ 288 B" in text or "≥ 576 B" in text) == ("activation_bytes" in at_least)
        assert note in text
    assert r"$\geq$ 56" in render(found, "latex", columns=columns)
    *_, total = csv.reader(StringIO(render(found, "csv", columns=columns)))
    assert total[0] == "total (incomplete)"
    assert total[1] == "56"
    assert all(cell.isdecimal() for cell in total[1:])


@pytest.mark.parametrize("case", CASES)
def test_a_folded_table_says_as_much(case: str) -> None:
    found, at_least, _ = CASES[case]
    assert fold(found, 1).totals.at_least == found.totals.at_least
    assert found.totals.at_least >= at_least


def test_a_complete_table_says_nothing() -> None:
    whole = summary()
    assert whole.totals.complete
    assert json.loads(render(whole, "json"))["totals"]["complete"] is True
    assert "≥" not in render(whole)
    assert render(whole, "csv").splitlines()[-1].startswith("total,")


def test_flops_without_a_rule_are_null_and_no_reason_to_call_it_incomplete() -> None:
    found = summary({"upsample": {"scale_factor": 2, "mode": "bilinear"}})
    assert (found.totals.flops, found.totals.uncounted) == (None, ("upsample",))
    assert found.totals.complete
    data = json.loads(render(found, "json"))["totals"]
    assert (data["flops"], data["uncounted"], data["complete"]) == (None, ["upsample"], True)
    text = render(found, columns="name,flops")
    assert "flops of upsample are not counted" in text
    total = next(line for line in text.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "–"]


def test_python_is_warned_once(recwarn: pytest.WarningsRecorder) -> None:
    spec = network([3, 8, 8], conv(2, 3), UNKNOWN, name="net", imported=HEAD)
    message = "net: the totals are incomplete: no layer for unknown1 (aten.fft); parameters left"
    with pytest.warns(cnncalc.IncompleteWarning) as said:
        cnncalc.analyze(spec)
    assert [str(each.message)[: len(message)] for each in said] == [message]
    assert said[0].filename == __file__


def test_the_command_says_it_below_the_table_alone(tmp_path: Any) -> None:
    file = tmp_path / "net.json"
    spec = network([3, 8, 8], conv(2, 3), imported=HEAD)
    file.write_text(json.dumps(spec), encoding="utf-8")
    status, out, err = invoke("summarize", str(file))
    assert (status, err) == (0, "")
    assert "≥ 56 parameters" in out


def test_verify_says_what_was_left_out() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    found = cnncalc.verify(network([3, 8, 8], conv(2, 3), imported=HEAD))
    assert found.ok
    note = "of what was imported, parameters left out: 33 of aux.weight, aux.bias"
    assert note in found.notes


@pytest.mark.parametrize(
    ("imported", "message"),
    [
        ({"wieghts": {}}, "imported.wieghts: unknown field; did you mean weights?"),
        ({"left_out": {"parameters": {"a": "many"}}}, "imported.left_out.parameters"),
        ({"weights": {"a": 3}}, "imported.weights"),
        ([1], "imported"),
    ],
)
def test_a_wrong_section_is_named(imported: Any, message: str) -> None:
    with pytest.raises(cnncalc.SpecError, match=message):
        cnncalc.analyze(network([3, 8, 8], conv(2, 3), imported=imported))
