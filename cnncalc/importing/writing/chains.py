"""Operations -> chains: what is series-parallel as joins of branches, the rest by its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cnncalc.layers import find
from cnncalc.spec.items import JOIN_OF_RESIDUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnncalc.importing.sketch.operations import Call, Operation


@dataclass(eq=False, slots=True)
class Step:
    """An operation in a chain; one that joins branches holds them."""

    operation: Operation
    branches: list[list[Step]] = field(default_factory=list)
    sources: tuple[Operation, ...] | None = None
    """What it takes; None: what is before it in the chain."""
    calls: tuple[Call, ...] = ()
    """The calls of modules around all of it."""

    def operations(self) -> Iterator[Operation]:
        """Its operations in the order in which a spec runs them."""
        for branch in self.branches:
            for step in branch:
                yield from step.operations()
        yield self.operation


@dataclass(eq=False, slots=True)
class _Edge:
    """What flows from one operation into another, through a chain of steps."""

    source: Operation
    target: Operation | None
    """None: the network's output."""
    steps: list[Step]


def arranged(operations: Sequence[Operation], entry: Operation, output: Operation) -> list[Step]:
    """The operations as one chain that begins at `entry` and ends with `output`."""
    nested = _Reduction(_with_nested_concats(operations), output)
    steps = nested.steps(entry)
    for step in steps:
        _settle_calls(step)
    return steps


class _Reduction:
    """Takes together what follows one another, and branches that begin and end together."""

    def __init__(self, operations: Sequence[Operation], output: Operation) -> None:
        self.operations = operations
        self.into: dict[Operation | None, list[_Edge]] = {None: []}
        self.out_of: dict[Operation, list[_Edge]] = {}
        self.made: dict[Operation, Step] = {}
        for operation in operations:
            self.made[operation] = Step(operation)
            self.into[operation] = [self.edge(source, operation) for source in operation.inputs]
        self.into[None] = [self.edge(output, None)]

    def edge(self, source: Operation, target: Operation | None) -> _Edge:
        edge = _Edge(source, target, [])
        self.out_of.setdefault(source, []).append(edge)
        return edge

    def steps(self, entry: Operation) -> list[Step]:
        for operation in self.operations:
            self.reduce(operation)
        steps: list[Step] = []
        last = entry
        for target in (*self.operations, None):
            if target is not None and target not in self.made:
                continue
            last = self.write(target, last, steps)
        return steps

    def reduce(self, operation: Operation) -> None:
        """Joins the branches that end here, then goes on with what this makes a chain."""
        into = self.into[operation]
        starts = {edge.source for edge in into}
        if _joins(operation) and len(into) > 1 and len(starts) == 1:
            self.made[operation].branches = _ordered(operation, [edge.steps for edge in into])
            for edge in into[1:]:
                self.out_of[edge.source].remove(edge)
            into[0].steps = []
            del into[1:]
            self.shorten(into[0].source)
        self.shorten(operation)

    def shorten(self, operation: Operation) -> None:
        """Takes an operation with one way in and one out into the edge through it."""
        into, out = self.into.get(operation, []), self.out_of.get(operation, [])
        if len(into) != 1 or len(out) != 1:
            return
        (before,), (after,) = into, out
        # The one list goes on, so that a long chain is not copied at each of its steps.
        before.steps += (self.made.pop(operation), *after.steps)
        after.steps, after.source = before.steps, before.source
        leaving = self.out_of[before.source]
        leaving[leaving.index(before)] = after

    def write(self, target: Operation | None, last: Operation, steps: list[Step]) -> Operation:
        """Appends what flows into an operation and the operation itself; returns what is last."""
        sources = []
        for edge in self.into[target]:
            if edge.steps:
                first = edge.steps[0]
                first.sources = None if edge.source is last else (edge.source,)
                steps += edge.steps
                last = edge.steps[-1].operation
                sources.append(last)
            else:
                sources.append(edge.source)
        if target is None:
            return last
        step = self.made[target]
        step.sources = None if sources == [last] else tuple(sources)
        steps.append(step)
        return target


def _ordered(operation: Operation, branches: list[list[Step]]) -> list[list[Step]]:
    """A sum's longer branch first, if the other is empty: the body of a residual."""
    if operation.kind == JOIN_OF_RESIDUAL and len(branches) == 2 and not branches[0]:
        return branches[::-1]
    return branches


def _with_nested_concats(operations: Sequence[Operation]) -> Sequence[Operation]:
    """Lets a concat that begins with all that an earlier one holds take that one instead.

    So DenseNet's layers, each of which concatenates all before it, become branches of joins.
    """
    known: dict[tuple[Operation, ...], Operation] = {}
    whole: dict[Operation, tuple[Operation, ...]] = {}
    for operation in operations:
        if operation.kind != "concat":
            continue
        inputs = tuple(part for each in operation.inputs for part in whole.get(each, (each,)))
        whole[operation] = inputs
        for length in range(len(inputs) - 1, 1, -1):
            earlier = known.get(inputs[:length])
            if earlier is not None:
                operation.inputs = (earlier, *inputs[length:])
                break
        known.setdefault(inputs, operation)
    return operations


def _settle_calls(step: Step) -> None:
    """Notes which calls of modules hold a whole step, for it and its branches."""
    calls = step.operation.calls
    for branch in step.branches:
        for inner in branch:
            _settle_calls(inner)
            calls = common(calls, inner.calls)
    step.calls = calls


def common(first: tuple[Call, ...], second: tuple[Call, ...]) -> tuple[Call, ...]:
    """The calls that both begin with."""
    count = 0
    for mine, other in zip(first, second, strict=False):
        if mine.key != other.key:
            break
        count += 1
    return first[:count]


def _joins(operation: Operation) -> bool:
    cls = find(operation.kind)
    return cls is not None and cls.joins
