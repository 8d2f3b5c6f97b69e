"""LaTeX: compiles wherever a TeX is installed, and is sound to the eye where none is."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import LECTURES, bundled, summarize

from cnncalc.analysis.folding import fold
from cnncalc.render import render
from cnncalc.render.latex import ROWS_OF_A_PAGE, escape, maths

if TYPE_CHECKING:
    from pathlib import Path

NETWORKS = LECTURES
VIEWS = [*((columns, False) for columns in (None, "lecture", "weights", "full")), (None, True)]
TRICKY = r'A&B *c* _d_ `e` <f> 5% $g$ #h {i} j^2 k~l m\n o|p "q" – × · − … → 2² ⌊x⌋ ⌈y⌉ é'
TEX = next(filter(None, map(shutil.which, ("pdflatex", "tectonic", "latexmk"))), None)
needs_tex = pytest.mark.skipif(TEX is None, reason="neither pdflatex, tectonic nor latexmk is here")


def views(name: str) -> list[str]:
    summary = bundled(name)
    tables = [
        render(summary, "latex", columns=columns, formulas=formulas) for columns, formulas in VIEWS
    ]
    return [*tables, render(fold(summary, 1), "latex", columns="lecture")]


def compile_tables(tables: list[str], folder: Path) -> str:
    """The log of a document that holds the tables."""
    assert TEX is not None
    document = "\n\n".join(
        (
            r"\documentclass{article}",
            r"\usepackage{booktabs,longtable,array,graphicx}",
            r"\begin{document}",
            *tables,
            r"\end{document}",
        )
    )
    (folder / "tables.tex").write_text(document, encoding="utf-8")
    options = [] if "tectonic" in TEX else ["-interaction=nonstopmode", "-halt-on-error"]
    if "latexmk" in TEX:
        options.append("-pdf")
    done = subprocess.run(
        [TEX, *options, "tables.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "tables.pdf").stat().st_size > 10_000
    return done.stdout


@needs_tex
def test_every_view_of_every_network_compiles(tmp_path: Path) -> None:
    log = compile_tables([table for name in NETWORKS for table in views(name)], tmp_path)
    assert "Undefined control sequence" not in log
    assert "Missing character" not in log


@needs_tex
def test_tables_shrink_to_the_width_of_a_slide(tmp_path: Path) -> None:
    tables = [f"\\begin{{minipage}}{{9cm}}\n{table}\\end{{minipage}}\n" for table in views("lenet")]
    assert "Overfull" not in compile_tables(tables, tmp_path)


@needs_tex
def test_names_and_sources_with_every_special_character_compile(tmp_path: Path) -> None:
    summary = summarize([1, 4, 4], "relu", name=TRICKY, source=TRICKY)
    compile_tables([render(summary, "latex"), escape(TRICKY)] * 40, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_cells_and_braces_match(name: str) -> None:
    for text in views(name):
        assert re.match(r"% .*\n% in the preamble: \\usepackage\{[a-z,]+\}\n", text)
        bare = re.sub(r"\\[\\{}&%$#_]", "", re.sub(r"(?m)^%.*$", "", text))
        assert bare.count("{") == bare.count("}")
        assert bare.count("$") % 2 == 0
        assert bare.count(r"\toprule") == bare.count(r"\bottomrule") == 1
        table = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        cells = {len(re.findall(r"(?<!\\)&", row)) for row in rows}
        assert len(cells) == 1
        assert not re.search("[⁰¹²³⁴⁵⁶⁷⁸⁹×·−⌊⌋⌈⌉–…]", table)


@pytest.mark.parametrize("name", NETWORKS)
def test_long_networks_get_a_table_over_pages(name: str) -> None:
    summary = bundled(name)
    text = render(summary, "latex")
    is_long = len(summary.layers) > ROWS_OF_A_PAGE
    assert (r"\begin{longtable}" in text) == (r"\endhead" in text) == is_long
    assert (r"\begin{tabular}" in text) == (r"\resizebox" in text) != is_long
    assert ("booktabs,longtable,array" in text) == is_long


def test_long_table_keeps_the_columns_that_fit_and_all_that_are_asked_for() -> None:
    summary = bundled("googlenet")
    default = render(summary, "latex")
    assert r"name & output & parameters & multiply-adds & receptive field \\" in default
    assert r"\linewidth}" not in default
    lecture = render(summary, "latex", columns="lecture")
    assert r"input / layer & output & \# parameters & \# products \\" in lecture
    shares = [float(share) for share in re.findall(r"p\{([\d.]+)\\linewidth\}", lecture)]
    assert len(shares) == 3
    assert sum(shares) < 1


def test_lecture_row() -> None:
    lines = render(bundled("lenet"), "latex", columns="lecture").splitlines()
    assert (
        r"32$\times$8$\times$8 $\cdot$ nn.Conv2d(\allowbreak{}32, 64, kernel\_size=5)"
        r" & 64$\times$4$\times$4 & $64 \cdot (5^{2} \cdot 32 + 1) = 51{,}264$"
        r" & $64 \cdot 4^{2} \cdot 5^{2} \cdot 32 = 819{,}200$ \\"
    ) in [line.replace(r"(32", r"(\allowbreak{}32") for line in lines]
    assert r"total &  & 105,506 & 1,333,200 \\" in lines


def test_conventions_are_printed_below() -> None:
    text = render(bundled("lenet"), "latex")
    printed = [line for line in text.splitlines() if not line.startswith("%")]
    below = "\n".join(printed).partition(r"\end{tabular}")[2]
    assert "biases not counted" in below
    assert "source: L0, L1" in below


def test_escapes() -> None:
    assert escape("a_b & 50% #1 {x} ~ ^ \\") == (
        r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert escape("2×3 10¹²") == r"2$\times$3 10$^{12}$"
    assert maths("⌊(n + 2·3)/2⌋ − 1 = 1,024") == (
        r"$\lfloor (n + 2 \cdot 3)/2\rfloor  - 1 = 1{,}024$"
    )
