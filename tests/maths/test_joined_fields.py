"""Hulls at joins: each one that is made is counted, so that many operands cannot be free work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cnncalc
from cnncalc.analysis import analyze
from cnncalc.maths.receptive_fields import UNKNOWN, Uneven, joined

if TYPE_CHECKING:
    import pytest

    from cnncalc.maths.receptive_fields import Field


def uneven(shift: int) -> Uneven:
    return Uneven(1, [0, 1 + shift, 5], [2, 3 + shift, 6])


def test_each_hull_on_the_way_is_counted_and_operands_that_are_one_once() -> None:
    seen: list[Field] = []

    def counted(field: Field) -> Field:
        seen.append(field)
        return field

    one, other = uneven(0), uneven(1)
    assert joined([one, other] * 200, counted) == Uneven(1, [0, 1, 5], [2, 4, 6])
    assert len(seen) == 1
    seen.clear()
    joined([uneven(turn % 2) for turn in range(400)], counted)
    assert len(seen) == 399


def test_a_hull_that_is_given_up_ends_the_work() -> None:
    assert joined([uneven(0), uneven(1), uneven(2)], lambda _: UNKNOWN) == UNKNOWN


def test_an_analysis_gives_up_when_joins_have_listed_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1.4 kB took 20 s when operands of a join were not counted."""
    layers = [
        *(
            {"name": f"p{n}", "inputs": "input", "adaptive_avg_pool": {"output_size": 7}}
            for n in range(6)
        ),
        {"add": {}, "inputs": [f"p{n}" for n in range(6)]},
    ]
    spec = {"input": [1, 11], "layers": layers}
    assert cnncalc.analyze(spec).layers[-1].receptive_field.size == (3,)
    monkeypatch.setattr(analyze, "MAX_LISTED_UNITS", 7 * (6 + 5) - 1)
    assert cnncalc.analyze(spec).layers[-1].receptive_field.size == (None,)
    monkeypatch.setattr(analyze, "MAX_LISTED_UNITS", 7 * (6 + 5))
    assert cnncalc.analyze(spec).layers[-1].receptive_field.size == (3,)
