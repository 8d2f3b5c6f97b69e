"""`--depth`: a folded row is its scope seen from outside."""

from __future__ import annotations

import pytest
from support import bundled, conv

import cnncalc
from cnncalc.analysis.folding import fold
from cnncalc.render.columns import COLUMNS, PRESETS


def test_a_scope_shows_its_own_output_not_its_last_row() -> None:
    """The group's output is its first convolution's, which its last item passes on."""
    group = [
        {"name": "a", **conv(4, 3)},
        {"name": "b", **conv(8, 1)},
        {"inputs": ["a"], "layers": [{"if": False, "relu": None}]},
    ]
    layers = [
        {"name": "g", "layers": group},
        {"name": "z", **conv(8, 1)},
        {"add": {}, "inputs": ["z", "g.b"]},
    ]
    summary = fold(cnncalc.analyze({"input": [3, 8, 8], "layers": layers}), 1)
    scope, after, _ = summary.layers
    assert scope.output_shape == (4, 6, 6) == after.input_shapes[0]
    assert scope.receptive_field.size == (3, 3)


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "vgg"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_folding_keeps_weights_and_totals(name: str, depth: int) -> None:
    whole = bundled(name)
    folded = fold(whole, depth)
    assert folded.totals == whole.totals
    for figure in ("parameters", "multiply_adds", "flops", "activation_bytes"):
        columns = [sum(getattr(row, figure) for row in s.layers) for s in (whole, folded)]
        assert columns[0] == columns[1]
    shapes = [sorted(w for row in s.layers for w in row.weights.values()) for s in (whole, folded)]
    assert shapes[0] == shapes[1]


def test_a_folded_weight_is_named_within_its_scope() -> None:
    first = fold(bundled("resnet18"), 1).layers[0]
    assert first.weights["conv1.weight"] == (64, 3, 7, 7)
    assert first.weights["batch_norm1.bias"] == (64,)


def test_no_preset_hides_a_column() -> None:
    assert not {column.name for column in COLUMNS} & PRESETS.keys()


def test_a_fold_of_shared_layers_shares_nothing_itself() -> None:
    """What its layers share is theirs: its own row names no owner."""
    first = {"name": "a", "layers": [conv(3, 3, padding=1), "relu"]}
    second = {"name": "b", "layers": [{**conv(3, 3, padding=1), "shares": "a.conv1"}]}
    summary = cnncalc.analyze({"input": [3, 8, 8], "layers": [first, second]})
    assert summary.layers[2].shares == "a.conv1"
    folded = fold(summary, 1)
    assert [row.name for row in folded.layers] == ["a", "b"]
    assert [row.shares for row in folded.layers] == [None, None]
    assert folded.layers[1].parameters == 0
