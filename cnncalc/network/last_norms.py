"""Which normalisations end the bodies of residuals: those that `zero_init_residual` starts at 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncalc.layers.norm import Norm

if TYPE_CHECKING:
    from cnncalc.network.graph import Graph


def last_norms(graph: Graph) -> list[str]:
    """The last normalisation layer with a weight in each residual's body, by name."""
    bodies = {f"{path}.body" for path, scope in graph.scopes.items() if scope.kind == "residual"}
    last: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(node.layer, Norm) and "weight" in node.layer.weights(*node.input_shapes):
            parts = node.name.split(".")
            scopes = (".".join(parts[:depth]) for depth in range(1, len(parts)))
            last.update({scope: node.name for scope in scopes if scope in bodies})
    return list(dict.fromkeys(last.values()))
