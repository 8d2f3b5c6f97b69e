"""What a class's `forward` does: its steps, and the names of its tensors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.exporting.python_source.terms import Loop
from cnncalc.exporting.python_source.tree import Leaf, Scope, Unit, is_inline
from cnncalc.layers import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cnncalc.network.graph import Node

TAKEN = frozenset(("x", "i", "self", "torch", "nn", "F", "range", "getattr", "super", "Tensor"))
"""Words of the written source that no tensor or parameter may be called by."""
WORD = re.compile(r"\b[^\W\d]\w*")


class Step(NamedTuple):
    """One statement: a module called, the modules of a loop, or a join."""

    what: str
    """Name of the module; key of the loop; kind of the join."""
    operands: tuple[str, ...]
    results: tuple[str, ...]
    is_loop: bool = False
    is_join: bool = False


class Forward(NamedTuple):
    """The steps of a class, and its tensors by name."""

    arguments: tuple[str, ...]
    steps: tuple[Step, ...]
    returns: tuple[str, ...]


class Run(NamedTuple):
    """Units that one loop runs; their names are `prefix` and a number."""

    key: str
    prefix: str
    units: Sequence[Unit]


def forward_of(scope: Scope, parts: Sequence[Unit | Run]) -> Forward:
    """The forward pass of a scope; `parts` are its members, those of loops together."""
    tensors = _Tensors(scope, [_flow(part) for part in parts])
    steps = []
    for index, part in enumerate(parts):
        inputs, outputs = _flow(part)
        operands = tuple(tensors.names[number] for number in inputs)
        results = tensors.name(index, outputs, _word(part))
        if isinstance(part, Run):
            steps.append(Step(part.key, operands, results, is_loop=True))
        elif isinstance(part, Leaf) and is_inline(part):
            steps.append(_join(part.node, operands, results))
        else:
            steps.append(Step(part.name, operands, results))
    if scope.join is not None:
        operands = tuple(tensors.names[number] for number in scope.join.inputs)
        results = tensors.name(len(parts), (scope.join.number,), scope.name)
        steps.append(_join(scope.join, operands, results))
    arguments = tuple(tensors.names[number] for number in scope.inputs)
    return Forward(arguments, tuple(steps), tuple(tensors.names[n] for n in scope.outputs))


def _flow(part: Unit | Run) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Nodes whose outputs a part takes, and gives."""
    if isinstance(part, Run):
        return part.units[0].inputs, part.units[-1].outputs
    if isinstance(part, Leaf):
        return part.node.inputs, part.outputs
    return part.inputs, part.outputs


def _word(part: Unit | Run) -> str:
    return part.prefix if isinstance(part, Run) else part.name


def _join(node: Node, operands: tuple[str, ...], results: tuple[str, ...]) -> Step:
    return Step(node.layer.kind, operands, results, is_join=True)


class _Tensors:
    """Names of tensors. What flows on is `x`; what is used again later has a name of its own."""

    def __init__(self, scope: Scope, flows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]):
        self.last_use = {number: k for k, (inputs, _) in enumerate(flows) for number in inputs}
        if scope.join is not None:
            self.last_use |= dict.fromkeys(scope.join.inputs, len(flows))
        self.last_use |= dict.fromkeys(scope.outputs, len(flows) + 1)
        others = [f"other{k}" if k > 1 else "other" for k in range(1, len(scope.inputs))]
        self.names = dict(zip(scope.inputs, ["x", *others], strict=True))
        self.given = {*TAKEN, *others}
        self.holder = scope.inputs[0]
        """The node whose output is called `x`."""

    def name(self, index: int, outputs: Sequence[int], word: str) -> tuple[str, ...]:
        """Names for the results of step `index`."""
        for number in outputs:
            if self.last_use.get(self.holder, -1) <= index:
                self.names[number], self.holder = "x", number
                continue
            free = word
            while free in self.given:
                free += "_"
            self.given.add(free)
            self.names[number] = free
        return tuple(self.names[number] for number in outputs)


def statements(forward: Forward, loops: Mapping[str, Loop]) -> Iterator[str]:
    """The body of `forward` in Python, a statement a line."""
    for step in forward.steps[:-1]:
        yield from _statement(step, loops)
    last = forward.steps[-1]
    if last.results == forward.returns and len(last.results) == 1 and not last.is_loop:
        yield f"return {_value(last)}"
        return
    yield from _statement(last, loops)
    yield f"return {', '.join(forward.returns)}"


def _statement(step: Step, loops: Mapping[str, Loop]) -> Iterator[str]:
    results = ", ".join(step.results)
    if not step.is_loop:
        yield f"{results} = {_value(step)}"
        return
    loop = loops[step.what]
    if step.operands != step.results:
        yield f"{results} = {step.operands[0]}"
    if loop.count == 1:
        yield f"{results} = self.{loop.prefix}{loop.start}({results})"
    else:
        yield f"for i in {_of_self(loop.turns)}:"
        yield f"    {results} = getattr(self, {loop.name})({results})"


def kept(loops: Iterable[Loop]) -> list[str]:
    """The parameters that `forward` asks for, and the constructor keeps."""
    return list(
        dict.fromkeys(name for loop in loops if loop.count is None for name in _words(loop))
    )


def _words(loop: Loop) -> list[str]:
    return [name for name in WORD.findall(loop.turns) if name != "range"]


def _of_self(turns: str) -> str:
    return WORD.sub(lambda match: match[0] if match[0] == "range" else f"self.{match[0]}", turns)


def _value(step: Step) -> str:
    if not step.is_join:
        return f"self.{step.what}({', '.join(step.operands)})"
    join: Any = find(step.what)
    source: str = join.source(step.operands)
    return source
