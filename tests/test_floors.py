"""The floors of CONTRIBUTING.md hold: a file imports only from floors below, or its own."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cnncalc"
FACES = {"cnncalc", "cnncalc.__main__"}
"""They hand names on, from every floor."""
UPWARDS = {
    ("cnncalc.analysis.summary", "cnncalc.render"),
    ("cnncalc.verification.result", "cnncalc.render"),
}
"""A summary and a verification print themselves; they load the renderings when they do."""


def floors() -> dict[str, int]:
    """Module, or package with all its modules, and its floor."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = {}
    for number, row in re.findall(r"^\| (\d) \| (.+) \|$", page, re.MULTILINE):
        for name in re.findall(r"`(\w+)/?`", row):
            found[f"cnncalc.{name}"] = int(number)
    return found


def home(module: str) -> str:
    return ".".join(module.split(".")[:2])


@cache
def modules() -> dict[str, ast.Module]:
    trees = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imports(tree: ast.Module) -> set[str]:
    """Modules of ours that the code imports, late or at once; not those of types alone."""
    found: set[str] = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cnncalc"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= set(names) if node.module == "cnncalc" else {node.module}
        pending += ast.iter_child_nodes(node)
    return found


def test_every_module_has_a_floor() -> None:
    assert {home(name) for name in modules()} - FACES == set(floors())


def test_no_import_runs_upwards() -> None:
    level = floors()
    for name, tree in modules().items():
        for target in imports(tree) - {"cnncalc.__version__"}:
            edge = (home(name), home(target))
            if name in FACES or edge[0] == edge[1] or edge in UPWARDS:
                continue
            assert level[edge[1]] <= level[edge[0]], f"{name} imports {target}"


def test_no_circle_at_all() -> None:
    edges: dict[str, set[str]] = {}
    for name, tree in modules().items():
        if name in FACES:
            continue
        targets = {home(target) for target in imports(tree)} - {home(name)}
        edges.setdefault(home(name), set()).update(
            target for target in targets if (home(name), target) not in UPWARDS
        )
    done: set[str] = set()
    while ready := {n for n in edges if n not in done and edges[n] & edges.keys() <= done}:
        done |= ready
    assert done == set(edges), f"in a circle: {sorted(set(edges) - done)}"
