"""A figure is declared once: rows, totals, every format, folding, sorting and notes follow."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support import bundled
from support.places import ROOT, TESTS
from support.processes import environment, search_path

from cnncalc.analysis.figures import FIGURES
from cnncalc.analysis.folding import fold

if TYPE_CHECKING:
    from cnncalc import Summary

PLANTED = """
import json
from cnncalc.analysis.figures import Figure, Figures
from cnncalc.maths.formula import expr

Figures.reads = Figure(
    "numbers read",
    lambda counted: expr(2) * counted.owned,
    formula="# reads",
    convention="every weight twice",
)
Figures.reads.__set_name__(Figures, "reads")
from support import cnncalc_output

print(json.dumps({line: cnncalc_output(*line.split()) for line in %r}))
"""
LINES = (
    "summarize lenet --format json",
    "summarize lenet --format csv",
    "summarize lenet --columns name,reads",
    "summarize lenet --columns name,reads --formulas",
    "summarize resnet18 --depth 1 --format json",
    "list densenet --sort reads",
    "list -h",
)
READS = {"conv1": 2 * 832, "conv2": 2 * 51_264, "linear1": 2 * 51_400, "linear2": 2 * 2_010}


@pytest.fixture(scope="module")
def planted() -> dict[str, str]:
    """What these command lines print where a figure `reads` is declared, and nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", PLANTED % (LINES,)],
        env=environment(PYTHONPATH=search_path(TESTS)),
        capture_output=True,
        check=True,
    )
    outputs: dict[str, str] = json.loads(done.stdout)
    return outputs


def test_a_planted_figure_is_in_rows_totals_and_formulas(planted: dict[str, str]) -> None:
    data = json.loads(planted["summarize lenet --format json"])
    rows = {row["name"]: row for row in data["layers"]}
    assert {name: row["reads"] for name, row in rows.items() if row["reads"]} == READS
    assert data["totals"]["reads"] == 2 * 105_506
    assert rows["conv1"]["formulas"]["reads"] == "2·32·(5²·1 + 1)"


def test_it_is_folded(planted: dict[str, str]) -> None:
    data = json.loads(planted["summarize resnet18 --depth 1 --format json"])
    assert [row["reads"] for row in data["layers"]] == [
        2 * row["parameters"] for row in data["layers"]
    ]
    assert data["layers"][0]["formulas"]["reads"] == "18816 + 256"


def test_it_is_a_column_of_every_table(planted: dict[str, str]) -> None:
    text = planted["summarize lenet --columns name,reads"]
    assert "numbers read\n" in text
    assert "\nnumbers read: every weight twice\n" in text
    assert text.split("total")[1].split()[0] == f"{2 * 105_506:,}"
    worked = planted["summarize lenet --columns name,reads --formulas"]
    assert "2·32·(5²·1 + 1) = 1,664" in worked
    *rows, total = csv.DictReader(io.StringIO(planted["summarize lenet --format csv"]))
    assert {row["name"]: int(row["reads"]) for row in rows if row["reads"] != "0"} == READS
    assert total["reads"] == str(2 * 105_506)
    assert rows[0]["reads_formula"] == "2·32·(5²·1 + 1)"


def test_lists_are_sorted_by_it(planted: dict[str, str]) -> None:
    names = [line.split()[0] for line in planted["list densenet --sort reads"].splitlines()[2:]]
    assert [name[-3:] for name in names] == ["121", "169", "201", "161"]
    assert "activation-bytes, reads," in " ".join(planted["list -h"].split())


@pytest.mark.parametrize("name", ["lenet", "resnet18"])
def test_every_figure_is_an_attribute_of_rows_totals_and_formulas(name: str) -> None:
    def check(summary: Summary) -> None:
        for figure in FIGURES:
            values = [getattr(row, figure) for row in summary.layers]
            assert values == [row.figures[figure] for row in summary.layers]
            assert getattr(summary.totals, figure) == sum(values)
            for row in summary.layers:
                formula = getattr(row.formulas, figure)
                assert formula is None or formula.value == getattr(row, figure)

    check(bundled(name))
    check(fold(bundled(name), 1))


def test_what_is_counted_is_explained() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    for figure in FIGURES.values():
        said = any(figure.title in row for row in rows)
        assert said, f"{figure.name}: no row of docs/conventions.md says what it counts"
