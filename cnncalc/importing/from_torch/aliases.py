"""Operations in place whose effect is seen through another name of the same memory."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from torch import fx

if TYPE_CHECKING:
    from collections.abc import Iterator


def graphs_of(program: Any) -> Iterator[fx.Graph]:
    """The graph of a program, and those of the parts that it runs with other settings."""
    yield program.graph
    for part in program.graph_module.modules():
        if isinstance(part, fx.GraphModule) and part.graph is not program.graph:
            yield part.graph


def changes_what_is_seen_elsewhere(graph: fx.Graph) -> bool:
    """Whether a tensor is changed in place of which another view, or the whole, is used later.

    What is used later by the name that the operation took, or gave, is no trouble.
    """
    order = {node: place for place, node in enumerate(graph.nodes)}
    memory: dict[fx.Node, fx.Node] = {}
    """The first node that has the memory of each."""
    shown: dict[fx.Node, list[fx.Node]] = {}
    """By the first node, all that have its memory."""
    for node in graph.nodes:
        source = viewed(node)
        first = memory.get(source, source) if source is not None else node
        memory[node] = first
        shown.setdefault(first, []).append(node)
    for node in graph.nodes:
        changed = node.args[0] if is_in_place(node) and node.args else None
        if not isinstance(changed, fx.Node):
            continue
        for other in shown.get(memory[changed], ()):
            is_before = order[other] < order[node]
            if is_before and other is not changed and _is_used_after(other, node, order):
                return True
    return False


def is_in_place(node: fx.Node) -> bool:
    """Whether it changes its first argument: `relu_`."""
    name = str(getattr(node.target, "__name__", "")).partition(".")[0]
    return node.op == "call_function" and name.endswith("_") and not name.startswith("_")


def viewed(node: fx.Node) -> fx.Node | None:
    """What a node shows, all or a part of, or has changed in place: they are one memory."""
    source = node.args[0] if node.op == "call_function" and node.args else None
    returns = getattr(getattr(node.target, "_schema", None), "returns", ())
    is_view = node.target is operator.getitem or any(each.alias_info for each in returns)
    return source if is_view and isinstance(source, fx.Node) else None


def _is_used_after(node: fx.Node, place: fx.Node, order: dict[fx.Node, int]) -> bool:
    return any(order[user] > order[place] for user in node.users)
