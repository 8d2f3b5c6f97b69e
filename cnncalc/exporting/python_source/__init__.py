"""Graph -> Python source: classes of PyTorch modules that run without cnncalc."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

from cnncalc import __version__
from cnncalc.errors import CnncalcError
from cnncalc.exporting.python_source.classes import Classes
from cnncalc.exporting.python_source.definitions import (
    definitions,
    imports,
    names_in,
    needed,
)
from cnncalc.exporting.python_source.tree import Scope
from cnncalc.network.expansion import build_graph
from cnncalc.network.last_norms import last_norms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.network.graph import Graph
    from cnncalc.spec.architecture import Architecture


def write_source(architecture: Architecture) -> str:
    """The network as the source of a `torch.nn.Module`, formatted by ruff.

    Its state dict has the keys of the module that `cnncalc.build` makes, and it computes the same.

    Raises:
        SpecError: the spec is wrong.
    """
    graph = build_graph(architecture)
    graph.check_buildable()
    classes = Classes(graph, architecture.checked_blocks())
    classes.made[-1].about = _about(graph)
    classes.made[-1].afterwards = [
        *_initialized(graph),
        *_frozen(graph, classes.root),
        *_shared(graph),
    ]
    body = "\n\n".join(map(str, classes.made))
    body += f"\n\n{_example(graph, classes.name)}"
    copied = needed(names_in(ast.parse(body)))
    known = definitions()
    texts = dict.fromkeys(known[key].text for key in copied if not known[key].is_import)
    parts = (
        f'"""{_title(graph)}"""',
        "from __future__ import annotations",
        imports(key for key in copied if known[key].is_import),
        *texts,
        body,
    )
    return _formatted("\n\n".join(parts))


def _title(graph: Graph) -> str:
    lines = [f"{graph.name} as a PyTorch module."]
    if graph.source:
        lines += ["", graph.source]
    lines += ["", f"Written by cnncalc {__version__}; runs without it."]
    return "\n".join(line.replace("\\", "/").replace('"', "'") for line in lines) + "\n"


def _about(graph: Graph) -> str:
    shapes = graph.input_shape, graph.shape_of(graph.output)
    return " -> ".join(f"(N, {', '.join(map(str, shape))})" for shape in shapes)


def _example(graph: Graph, name: str) -> str:
    shape = ", ".join(map(str, (1, *graph.input_shape)))
    return (
        'if __name__ == "__main__":\n'
        f"    model = {name}().eval()\n"
        "    print(model)\n"
        f"    print(tuple(model(torch.zeros({shape})).shape))\n"
    )


def _initialized(graph: Graph) -> Iterator[str]:
    """Statements that start the weights as `init:` of the file says, but for its seed."""
    init = graph.init
    if init.weights != "default":
        options = "".join(f", {name}={value!r}" for name, value in init.options.items())
        yield f"self.apply(partial({init.weights}{options}))"
    if init.zero_init_residual:
        yield f"for name in {last_norms(graph)!r}:"
        yield "    nn.init.zeros_(self.get_submodule(name).weight)"


def _shared(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.shares is not None:
            owner = graph.nodes[node.shares]
            for weight in node.layer.weights(*node.input_shapes):
                yield f"self.{node.name}.{weight} = self.{owner.name}.{weight}"


def _frozen(graph: Graph, scope: Scope) -> Iterator[str]:
    """Statements that freeze the widest scopes whose weights are all frozen."""
    numbers = range(scope.first, scope.last + 1)
    weighted = [
        n for n in map(graph.nodes.__getitem__, numbers) if n.layer.weights(*n.input_shapes)
    ]
    if not any(node.frozen for node in weighted):
        return
    if scope.path and all(node.frozen for node in weighted):
        yield f"self.{scope.path}.requires_grad_(False)"
        return
    for member in scope.members:
        if isinstance(member, Scope):
            yield from _frozen(graph, member)
        else:
            node = graph.nodes[member.first]
            if node in weighted and node.frozen:
                yield f"self.{node.name}.requires_grad_(False)"


def _formatted(code: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "-"]
    run = subprocess.run(  # noqa: S603 - the arguments are ours
        command, input=code, capture_output=True, encoding="utf-8", check=False
    )
    if run.returncode:
        raise CnncalcError(f"ruff cannot format the source: {run.stderr.strip()}")
    return run.stdout
