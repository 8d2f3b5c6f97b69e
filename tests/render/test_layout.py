"""Every table of a terminal is laid out by one function."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.text import Text
from support.places import ROOT

from cnncalc.render.layout import laid_out, printed

TITLES = ["name", "what it says", "whole number"]
ROWS = [["first", "some words and incomprehensibilities", "1,234"], ["second", "short", "5"]]


def lines(width: int | None = None, **options: Any) -> list[str]:
    table = laid_out(TITLES, ROWS, right=[TITLES[2]], width=width, **options)
    return printed([table], width=width).splitlines()


def test_without_a_width_nothing_is_wrapped() -> None:
    assert lines() == lines(200)
    assert lines()[2:] == [
        "first   some words and incomprehensibilities         1,234",
        "second  short                                            5",
    ]


def test_text_gives_way_before_words_and_numbers_do() -> None:
    assert [line.split() for line in lines(45)[2:]] == [
        ["first", "some", "words", "and", "1,234"],
        ["incomprehensibilities"],
        ["second", "short", "5"],
    ]
    assert lines(10) == lines(20), "no word is broken, however narrow it is"


def test_titles_of_numbers_have_a_line_a_word_where_room_is_scarce() -> None:
    heads = [line.split() for line in lines(44, breaks_titles=True)[:2]]
    assert heads == [["whole"], ["name", "what", "it", "says", "number"]]
    assert lines(60, breaks_titles=True) == lines(60)


@pytest.mark.parametrize("width", [32, 40, 50])
def test_a_list_is_never_wider_than_its_terminal(width: int) -> None:
    found = lines(width, breaks_words=True)
    assert max(map(len, found)) <= width
    assert any(line.endswith("whole number") for line in found[:3])


def test_totals_stand_below_and_cells_may_be_coloured() -> None:
    table = laid_out(["a", "b"], [["1", Text("x", "red")]], right=["a"], width=9, total=["10", ""])
    text = printed([table], color=True)
    assert "\x1b[31mx" in text
    assert text.splitlines()[-1].startswith("\x1b[1m10\x1b[0m")


def test_rich_tables_are_made_in_one_place() -> None:
    makes = re.compile(r"\bTable\(|\.add_column\(")
    files = (ROOT / "cnncalc").rglob("*.py")
    making = [file.name for file in files if makes.search(file.read_text(encoding="utf-8"))]
    assert making == ["layout.py"]
