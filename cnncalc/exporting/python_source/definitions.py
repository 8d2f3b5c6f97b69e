"""What the written source needs beside torch.nn: our own modules and containers, copied."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent
PYTORCH = HERE.parent.parent / "pytorch"
MODULES = PYTORCH / "modules.py"
FILES = (MODULES, PYTORCH / "initialization.py", HERE / "containers.py")
"""Where they stand; what is copied needs nothing but PyTorch. They are read, never imported."""


class Definition(NamedTuple):
    """A class, function, alias or import, as its file has it."""

    node: ast.stmt
    text: str

    @property
    def uses(self) -> set[str]:
        return names_in(self.node)

    @property
    def is_import(self) -> bool:
        return isinstance(self.node, ast.Import | ast.ImportFrom)


def names_in(node: ast.AST) -> set[str]:
    """Every name that a piece of Python uses."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


@cache
def definitions() -> dict[str, Definition]:
    """Every definition and import of the files by the name that it binds."""
    found: dict[str, Definition] = {}
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for node in _statements(ast.parse(text).body):
            for name in _bound(node):
                found.pop(name, None)  # a container replaces the join of its name
                found[name] = Definition(node, ast.get_source_segment(text, node) or "")
    return found


@cache
def module_names() -> frozenset[str]:
    """The modules of our own that layers build."""
    nodes = ast.parse(MODULES.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in nodes if isinstance(node, ast.ClassDef))


def needed(names: Iterable[str]) -> list[str]:
    """Those of `names` that are defined here, and all that they need, in the files' order."""
    known = definitions()
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found.add(name)
            waiting += known[name].uses
    return [name for name in known if name in found]


def imports(names: Iterable[str]) -> str:
    """The import statements that bind these names, as isort sorts them."""
    plain: dict[str, None] = {}
    chosen: dict[str, list[str]] = {}
    for name in names:
        node = definitions()[name].node
        if isinstance(node, ast.Import):
            plain[ast.unparse(node)] = None
        elif isinstance(node, ast.ImportFrom) and node.module:
            chosen.setdefault(node.module, []).append(name)
    lines = [*plain]
    lines += [f"from {module} import {', '.join(sorted(who))}" for module, who in chosen.items()]
    sections: tuple[list[str], list[str]] = ([], [])
    for line in lines:
        sections[_root(line) not in sys.stdlib_module_names].append(line)
    return "\n\n".join("\n".join(sorted(section, key=_order)) for section in sections if section)


def _order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _root(line: str) -> str:
    return line.split()[1].split(".", maxsplit=1)[0]


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a file, those under `if TYPE_CHECKING` among them."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
        else:
            yield node


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
