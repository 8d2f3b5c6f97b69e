"""Every worked formula evaluates to the number beside it: the text is never decoration."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import by_tier, network, representatives
from support.formulas import evaluate, evaluate_shape, factors

import cnncalc
from cnncalc.analysis.folding import fold
from cnncalc.maths.formula import Expr, ceil_divide, expr, floor_divide, product, sym, total
from cnncalc.render import render

BUNDLED = representatives()
LONG = ("inception_v3", "densenet121", "efficientnet_v2_s", "resnet152", "regnet_y_400mf")
"""These are left to the exhaustive tier."""
WINDOWED = ("conv", "max_pool", "avg_pool")
UNEVEN = ("global_avg_pool", "conv_transpose")
"""Kinds after which fields may be unevenly spaced, or those of all units the same."""
FIGURES = ("parameters", "frozen_parameters", "multiply_adds", "flops")


def wrong_formulas(data: dict[str, Any]) -> list[str]:
    """Every formula in the JSON of a summary that does not come to the figure beside it."""
    wrong = []
    for layer in data["layers"]:
        formulas = layer["formulas"]
        worked: dict[str, Any] = {
            figure: evaluate(formulas[figure]) for figure in FIGURES if formulas.get(figure)
        }
        worked["output_shape"] = evaluate_shape(formulas["output_shape"])
        figures = dict(layer)
        if formulas["receptive_field"] is not None:
            worked["receptive_field"] = evaluate_shape(formulas["receptive_field"])
            figures["receptive_field"] = layer["receptive_field"]["size"]
        wrong += [f"{layer['name']}.{name}" for name in worked if worked[name] != figures[name]]
        wrong += [
            f"{layer['name']}.{figure} has no formula"
            for figure in FIGURES
            if layer[figure] and not formulas.get(figure)
        ]
    return wrong


def as_json(summary: cnncalc.Summary) -> dict[str, Any]:
    return json.loads(render(summary, "json"))


@pytest.mark.parametrize("name", by_tier(BUNDLED, *({*BUNDLED} - {*LONG})))
def test_every_formula_of_a_bundled_network(name: str) -> None:
    summary = cnncalc.analyze(name)
    data = as_json(summary)

    assert wrong_formulas(data) == []
    assert len(data["layers"]) == len(summary.layers) > 0
    even = [*takewhile(lambda layer: layer["kind"] not in UNEVEN, data["layers"])]
    even += [layer for layer in data["layers"][len(even) :] if layer["receptive_field"]["jump"]]
    windowed = [layer for layer in even if layer["kind"] in WINDOWED]
    assert all(layer["formulas"]["receptive_field"] for layer in windowed)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", ["googlenet", "lenet5_1998", "resnet18", "resnet50", "vgg16"])
def test_every_formula_of_a_folded_network(name: str, depth: int) -> None:
    whole = cnncalc.analyze(name)
    folded = fold(whole, depth)

    assert len(folded.layers) < len(whole.layers)
    assert wrong_formulas(as_json(folded)) == []
    assert folded.totals.parameters == whole.totals.parameters
    assert folded.totals.multiply_adds == whole.totals.multiply_adds


def test_every_formula_of_a_batch_and_of_frozen_weights() -> None:
    frozen = {"frozen": True, "conv": {"out_channels": 32, "kernel_size": 5}}
    data = as_json(cnncalc.analyze(network([1, 28, 28], frozen, "relu"), batch_size=32))
    conv = data["layers"][0]

    assert conv["formulas"]["frozen_parameters"] == "32·(5²·1 + 1)"
    assert conv["multiply_adds"] == 32 * 460_800
    assert wrong_formulas(data) == []


@pytest.mark.parametrize(
    "layer",
    [
        {"conv": {"out_channels": 8, "kernel_size": [3, 5], "stride": [2, 1], "padding": [1, 2]}},
        {"conv": {"out_channels": 8, "kernel_size": 3, "dilation": 2, "groups": 4}},
        {"conv": {"out_channels": 8, "kernel_size": 3, "padding": "same", "stride": 2}},
        {"depthwise_conv": {"kernel_size": 3, "depth_multiplier": 2, "bias": False}},
        {"conv_transpose": {"out_channels": 6, "kernel_size": 3, "stride": 2, "padding": 1}},
        {"conv_transpose": {"out_channels": 6, "kernel_size": 4, "groups": 2, "dilation": 2}},
        {"max_pool": {"kernel_size": 3, "stride": 2, "ceil_mode": True}},
        {"avg_pool": {"kernel_size": 2, "padding": 1, "stride": 5, "ceil_mode": True}},
        {"adaptive_avg_pool": 5},
        {"upsample": 1.5},
        {"upsample": 2},
        {"pixel_shuffle": 2},
        {"pad": {"padding": [[1, 2], 3]}},
        {"crop": 3},
        {"prelu": 8},
        "batch_norm",
        {"layer_norm": "sample"},
        {"unflatten": {"unflattened_size": [2, 4]}},
        "global_max_pool",
        {"linear": 3},
        {"concat": [[], [{"conv": {"out_channels": 3, "kernel_size": 1}}], []]},
        {"multiply": [[], ["global_avg_pool", "sigmoid"]]},
    ],
    ids=str,
)
def test_every_formula_of_a_layer(layer: dict[str, Any] | str) -> None:
    data = as_json(cnncalc.analyze(network([8, 15, 18], layer)))

    assert wrong_formulas(data) == []


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("32·(5²·1 + 1)", 832),
        ("32·24²·5²", 460_800),
        ("⌊(7 + 2·0 − 3)/2⌋ + 1", 3),
        ("⌈(28 − 3)/2⌉ − 1", 12),
        ("−3 + 10", 7),
        ("(−3)²·2¹⁰", 9216),
        ("384·(3²·(384/2) + 1)", 663_936),
        ("12 − 3 − 4", 5),
        ("24/4/3", 2),
        ("2 × 3", 6),
    ],
)
def test_the_evaluator_reads_the_notation(formula: str, value: int) -> None:
    assert evaluate(formula) == value


@pytest.mark.parametrize(
    "formula", ["", "3·", "(3", "⌊3)", "3 4", "7/2", "x·3", "3²²x", "2**3", "·3"]
)
def test_the_evaluator_refuses_what_is_no_formula(formula: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        evaluate(formula)


def test_a_shape_is_split_outside_brackets() -> None:
    assert factors("32 × (⌊(28 − 5)/1⌋ + 1) × (3 × 2)") == [
        "32",
        "(⌊(28 − 5)/1⌋ + 1)",
        "(3 × 2)",
    ]
    assert evaluate_shape("32 × (⌊(28 + 2·0 − 5)/1⌋ + 1) × 4²") == [32, 24, 16]


@pytest.mark.parametrize(
    ("figure", "formula"),
    [
        ("parameters", "32·(5²·1 + 2)"),
        ("multiply_adds", "32·24²·5²·2"),
        ("flops", "2·32·24²·5²·1"),
        ("output_shape", "32 × 24 × (⌊(28 + 2·0 − 5)/2⌋ + 1)"),
        ("receptive_field", "(1 + (5 − 1)·1) × (1 + (5 − 1)·2)"),
    ],
)
def test_a_wrong_formula_is_noticed(figure: str, formula: str) -> None:
    data = as_json(cnncalc.analyze("lenet"))
    data["layers"][0]["formulas"][figure] = formula

    assert wrong_formulas(data) == [f"conv1.{figure}"]


def test_a_missing_formula_is_noticed() -> None:
    data = as_json(cnncalc.analyze("lenet"))
    data["layers"][0]["formulas"]["flops"] = None

    assert wrong_formulas(data) == ["conv1.flops has no formula"]


def _divided(pair: tuple[Expr, Expr]) -> Expr:
    """A quotient that comes out whole."""
    dividend, divisor = pair
    return dividend * divisor / divisor


_leaves = st.builds(sym, st.sampled_from(["", "k", "in"]), st.integers(-20, 300))


def _grow(parts: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    divisors = parts.filter(lambda part: part.value != 0)
    return st.one_of(
        st.builds(lambda a, b: a + b, parts, parts),
        st.builds(lambda a, b: a - b, parts, parts),
        st.builds(lambda a, b: a * b, parts, parts),
        st.builds(lambda a, b: b * a, parts, st.integers(0, 9)),
        st.builds(lambda a, n: a**n, parts, st.integers(0, 3)),
        st.tuples(parts, divisors).map(_divided),
        st.builds(floor_divide, parts, divisors),
        st.builds(ceil_divide, parts, divisors),
        st.builds(product, st.lists(parts, max_size=4)),
        st.builds(lambda part, n: product([part] * n), parts, st.integers(0, 3)),
        st.builds(total, st.lists(parts, max_size=4)),
    )


@given(st.recursive(_leaves, _grow, max_leaves=12))
@example((sym("k", 5) ** 2) ** 2)
@example(product([sym("k", 5) ** 2, sym("k", 5) ** 2]))
def test_any_expression_evaluates_to_its_value(expression: Expr) -> None:
    assert evaluate(expression.text) == expression.value == int(expression)


@given(st.recursive(_leaves, _grow, max_leaves=6), st.integers())
def test_an_expression_equals_its_value(expression: Expr, other: int) -> None:
    assert expression == expr(expression.value) == expression.value
    assert (expression == other) == (expression.value == other)
    assert hash(expression) == hash(expression.value)


def test_a_name_is_written_in_symbols_and_a_number_in_text() -> None:
    formula = sym("out", 32) * (sym("k", 5) ** 2 * sym("in", 1) + 1)

    assert formula.text == "32·(5²·1 + 1)"
    assert formula.symbols == "out·(k²·in + 1)"
    assert formula.value == 832


def test_a_division_with_a_remainder_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="7 is not a multiple of 2"):
        expr(7) / 2


def test_only_what_is_written_alike_becomes_a_power() -> None:
    assert product([8, 8], "k").text == "8²"
    height_and_width = product([sym("h", 8), sym("w", 8)])
    assert (height_and_width.text, height_and_width.symbols) == ("8·8", "h·w")
    assert product([sym("h", 8), sym("h", 8)]).symbols == "h²"
    assert product([expr(6) + 2, 8]).text == "(6 + 2)·8"
