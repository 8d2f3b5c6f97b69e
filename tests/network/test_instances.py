"""What an item comes to is worked out once for all that see the same values."""

from __future__ import annotations

from typing import Any

import pytest
from support import conv, summarize

import cnncalc
from cnncalc.spec.expressions import names_within


def channels(*layers: Any, **keys: Any) -> list[int]:
    return [row.output_shape[0] for row in summarize([3, 8, 8], *layers, **keys).layers]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("=4*width + in_channels", {"width", "in_channels"}),
        ({"a": ["=index", 1, {"b": "=[i, 'index']"}], "c": "index", "d": None}, {"index", "i"}),
        (["=my_index", "='index'", "=4*("], {"my_index"}),
    ],
)
def test_names_within_a_value(value: Any, names: set[str]) -> None:
    assert names_within(value) == names


def test_values_that_are_equal_and_of_other_types_are_told_apart() -> None:
    """True == 1 == 1.0, and no key may hold them for one."""
    block = {
        "parameters": {"flag": None},
        "layers": [{"linear": {"out_features": 3, "bias": "=flag"}}],
    }
    for first, second in ((True, 1), (1, True)):
        with pytest.raises(cnncalc.SpecError, match=r"must be true or false; received 1, from"):
            summarize([3], {"b": first}, {"b": second}, blocks={"b": block})


def test_a_default_that_counts_turns_is_worked_out_in_each() -> None:
    blocks = {"b": {"parameters": {"w": "=4*(index + 1)"}, "layers": [conv("=w", 1)]}}
    assert channels({"repeat": 3, "b": {}}, blocks=blocks) == [4, 8, 12]
    inner = {"repeat": 3, "conv": {"out_channels": 4, "kernel_size": ["=index + 1", 1]}}
    sizes = [row.output_shape[1:] for row in summarize([3, 8, 8], inner).layers]
    assert sizes == [(8, 8), (7, 8), (5, 8)]


def test_the_turn_of_a_kind_is_that_of_its_own_fields() -> None:
    """A kind that is an expression may be a block whose defaults count turns, or a layer."""
    blocks = {"b": {"parameters": {"w": "=4*(index + 1)"}, "layers": [conv("=w", 1)]}}
    item = {"repeat": 4, "='b' if index % 2 else 'relu'": None}
    assert channels(item, blocks=blocks) == [3, 8, 8, 16]


def test_one_list_in_two_blocks_sees_what_each_is_given() -> None:
    body = [conv("=w", 1), {"layers": [conv("=2*w", 1)]}]
    blocks = {
        "a": {"parameters": {"w": 4}, "layers": body},
        "b": {"parameters": {"v": 4, "w": 8}, "layers": body},
    }
    assert channels("a", "b", "a", blocks=blocks) == [4, 8, 8, 16, 4, 8]


def test_one_list_in_several_branches() -> None:
    body = [conv("=2*in_channels", 1)]
    assert channels({"concat": [body, body]}, {"layers": body}, {"concat": [body, []]}) == [
        *(6, 6, 12),
        24,
        *(48, 72),
    ]


def test_missing_shortcuts_are_not_taken_for_one_another() -> None:
    residuals = [
        {"residual": {"body": [conv(3, 1)]}},
        {"residual": {"body": [], "shortcut": ["relu"]}},
    ]
    assert channels(*residuals * 3) == [3, 3, 3, 3] * 3
