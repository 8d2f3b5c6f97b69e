"""The order of docs/architecture.md holds: imports run upwards in its table, and in no circle."""

from __future__ import annotations

import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

import pytest
from support.places import ROOT, TESTS

PAGE = ROOT / "docs" / "architecture.md"
PRINTS_ITSELF = {
    ("cnncalc.analysis.summary", "cnncalc.render"),
    ("cnncalc.verification.result", "cnncalc.verification.table"),
}
"""The two imports that run the other way; they are late."""


def load_structure() -> Any:
    """scripts/structure, which is a program and has no ending."""
    loader = SourceFileLoader("structure", str(ROOT / "scripts" / "structure"))
    module = module_from_spec(spec_from_loader("structure", loader) or pytest.fail("no spec"))
    loader.exec_module(module)
    return module


structure = load_structure()


def order() -> list[str]:
    """Folders and files of the table, as dotted names, from the first row to the last."""
    rows = re.findall(r"^\| `([\w/]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"cnncalc.{row.rstrip('/').replace('/', '.')}" for row in rows]


def row_of(module: str, rows: list[str]) -> int:
    """The row of the innermost folder that is listed, or of the file itself."""
    while module not in rows:
        module, dot, _ = module.rpartition(".")
        assert dot, "it has no row"
    return rows.index(module)


def misplaced(edges: dict[str, set[str]], rows: list[str]) -> list[str]:
    """Imports of what stands further down."""
    return [
        f"{name} imports {target}"
        for name, targets in edges.items()
        for target in sorted(targets)
        if row_of(target, rows) > row_of(name, rows) and (name, target) not in PRINTS_ITSELF
    ]


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """In any folder, but for what prints itself."""
    kept = {
        name: {target for target in targets if (name, target) not in PRINTS_ITSELF}
        for name, targets in edges.items()
    }
    return [
        circle for level in structure.levels(kept).values() for circle in structure.circles(level)
    ]


EDGES = structure.edges(ROOT)


def test_every_folder_has_its_row() -> None:
    folders = {name.replace("/", ".") for name in structure.folders(ROOT)} - {"cnncalc"}
    files = {name for name in EDGES if name.count(".") == 1}
    assert folders | files <= {*order()}
    assert {*order()} <= {*EDGES}


def test_imports_run_upwards_in_the_table() -> None:
    assert misplaced(EDGES, order()) == []


def test_there_is_no_circle_in_any_folder() -> None:
    assert circles(EDGES) == []
    for name, target in PRINTS_ITSELF:
        assert target in EDGES[name]
        assert target not in structure.edges(ROOT, late=False)[name]


ONE_OF_A_KIND = {"cnncalc/layers"}
"""Folders in which each file is one of a kind: a family of layers."""


def test_no_folder_is_crowded() -> None:
    counts = structure.folders(ROOT)
    assert {name for name, count in counts.items() if count > 16} <= ONE_OF_A_KIND


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("cnncalc.spec.text", "cnncalc.render.table"),
        ("cnncalc.training.processes.shares", "cnncalc.training.step.loop"),
        ("cnncalc.maths.formula", "cnncalc.cli"),
        ("cnncalc.errors", "cnncalc.maths.formula"),
    ],
)
def test_an_import_that_runs_downwards_is_found(name: str, target: str) -> None:
    edges = {**EDGES, name: {*EDGES[name], target}}
    assert misplaced(edges, order()) == [f"{name} imports {target}"]


def test_a_circle_within_a_folder_is_found() -> None:
    edges = {**EDGES, "cnncalc.maths.formula": {"cnncalc.maths.receptive_fields"}}
    assert ["cnncalc.maths.formula", "cnncalc.maths.receptive_fields"] in [
        [name for name in circle if name != "cnncalc.maths.windows"] for circle in circles(edges)
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from cnncalc.maths import formula, windows", {"maths.formula", "maths.windows"}),
        ("from cnncalc.maths.formula import sym", {"maths.formula"}),
        ("import cnncalc.maths.formula", {"maths.formula"}),
        ("def f():\n    from cnncalc.cli import main", {"cli"}),
        ("if TYPE_CHECKING:\n    from cnncalc.errors import SpecError", {"errors"}),
        ("module = import_module('cnncalc.exporting.programs')", {"exporting.programs"}),
        ("from cnncalc import load", set()),
        ("import math", set()),
    ],
)
def test_what_an_import_is(line: str, found: set[str]) -> None:
    assert structure.imports(structure.ast.parse(line), {*EDGES}) == {
        f"cnncalc.{name}" for name in found
    }


# ── The tests are found by the path of what they test ────────────────────────────────────────────
BESIDE = {"support", "architectures"}
"""Folders of tests that mirror no folder of `cnncalc`: helpers, and the bundled networks."""


def test_folders_of_tests_mirror_the_package() -> None:
    folders = {file.parent.relative_to(TESTS) for file in TESTS.rglob("test_*.py")}
    mirrored = {folder for folder in folders if folder.parts and folder.parts[0] not in BESIDE}
    assert len(mirrored) > 10
    assert {str(folder) for folder in mirrored if not (ROOT / "cnncalc" / folder).is_dir()} == set()


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by name alone."""
    names = [file.name for file in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted({*names})
