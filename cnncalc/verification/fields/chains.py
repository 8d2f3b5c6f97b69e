"""What units see of the image through all layers before them, measured by gradients.

The built module runs on one random image in float64. Layers that map every number by itself,
which their own step shows, are passed over. All others have positive weights, and their outputs
are brought below 1, each number by another random factor: so nothing cancels, saturates or is 0.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx

from cnncalc.maths.receptive_fields import Unknown
from cnncalc.network.names import INPUT
from cnncalc.verification.fields.pixels import View, wrong_pixels
from cnncalc.verification.fields.steps import COSTLY, Place, axes_of, places_of
from cnncalc.verification.fields.traits import Traits, cost_of, moves
from cnncalc.verification.fields.transparent import transparent, zero_padded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cnncalc.network.graph import Graph, Node
    from cnncalc.verification.fields.steps import Fields

BUDGET = 100 * 10**9
"""What the gradients of one network may cost, in the unit of `cost_of`."""
TOP = 0.7
BOTTOM = 0.02
"""The largest number of each output, and what is added to all, so that none is 0."""
SEES_ALL = "seeing the whole image, as their inputs do"
HOLLOW = "behind a norm or softmax of one number"


class Chains(NamedTuple):
    """What was found."""

    problems: dict[int, str]
    """By node."""
    units: int
    compared: set[int]
    """The nodes whose units were compared."""
    left_out: Counter[str]
    """Why nodes whose field is not their inputs' were not compared."""


class Sight(NamedTuple):
    """The fields that are to be compared: as the table has them, and cut off at the image."""

    claimed: Mapping[int, Fields]
    clipped: Mapping[int, Fields]
    traits: Mapping[int, Traits]


def compare(graph: Graph, model: fx.GraphModule, sight: Sight) -> Chains:
    """Compares units of the output, then one of each node in turn while the budget lasts."""
    chosen, left_out = _candidates(graph, sight)
    if not chosen:
        return Chains({}, 0, set(), left_out)
    image = torch.rand(1, *graph.input_shape, dtype=torch.float64) * TOP + BOTTOM
    runner = _Runner(model, graph, sight.traits, {node.number for node in chosen})
    runner.run(image.requires_grad_())
    reached = [node for node in chosen if node.number in runner.outputs]
    left_out[HOLLOW] += len(chosen) - len(reached)
    costs = _costs(graph, reached)
    problems: dict[int, str] = {}
    compared: Counter[int] = Counter()
    spent = 0
    for node, place in _turns(reached, sight.claimed):
        number = node.number
        if number in problems or (compared and spent + costs[number] > BUDGET):
            continue
        spent += costs[number]
        compared[number] += 1
        view = View(sight.claimed[number], sight.clipped[number], sight.traits[number])
        problem = wrong_pixels(runner.outputs[number], image, place, view)
        if problem:
            problems[number] = problem
    left_out[COSTLY] += len(reached) - len(compared)
    return Chains(problems, compared.total(), set(compared), +left_out)


def _candidates(graph: Graph, sight: Sight) -> tuple[list[Node], Counter[str]]:
    """The nodes to compare, the output first; and why others whose field is new are not."""
    chosen: list[Node] = []
    left_out: Counter[str] = Counter()
    for node in graph.nodes:
        field, traits = sight.claimed[node.number], sight.traits[node.number]
        is_output = node.number == graph.output
        if not is_output and all(sight.claimed[number] == field for number in node.inputs):
            continue
        if not traits.reached:
            left_out[COSTLY if traits.costly else HOLLOW] += 1
        elif is_output:
            chosen.insert(0, node)
        elif all(_sees_all(graph, number, sight) for number in (node.number, *node.inputs)):
            left_out[SEES_ALL] += 1
        else:
            chosen.append(node)
    return chosen, left_out


def _sees_all(graph: Graph, number: int, sight: Sight) -> bool:
    """Whether each unit of a node sees the image from edge to edge."""
    for field, size in zip(sight.clipped[number], graph.input_shape[1:], strict=True):
        if isinstance(field, Unknown):
            return False
        units = (0,) if field.axis is None else range(field.count)
        if any(field.interval(unit) != (0, size - 1) for unit in units):
            return False
    return True


def _costs(graph: Graph, chosen: list[Node]) -> dict[int, int]:
    """What a gradient from each node to the image costs: as much as all nodes before it."""
    costs = {}
    for node in chosen:
        pending, before = [node.number], set[int]()
        while pending:
            number = pending.pop()
            if number != INPUT and number not in before:
                before.add(number)
                pending += graph.nodes[number].inputs
        costs[node.number] = sum(cost_of(graph.nodes[number]) for number in before)
    return costs


def _turns(chosen: list[Node], fields: Mapping[int, Fields]) -> Iterator[tuple[Node, Place]]:
    """All places of the first node, then one place of each other in turn."""
    places = [places_of(axes_of(fields[node.number]), node.output_shape) for node in chosen]
    for place in places[0] if places else ():
        yield chosen[0], place
    for turn in range(max(map(len, places), default=0)):
        for node, its in zip(chosen[1:], places[1:], strict=True):
            if turn < len(its):
                yield node, its[turn]


class _Runner(fx.Interpreter):
    """Runs a module with transparent layers, and keeps the outputs of the nodes `wanted`."""

    def __init__(
        self,
        model: fx.GraphModule,
        graph: Graph,
        traits: Mapping[int, Traits],
        wanted: set[int],
    ) -> None:
        super().__init__(model)
        self.nodes = graph.nodes
        self.traits = traits
        self.wanted = wanted
        self.outputs: dict[int, Tensor] = {}
        self.modules: dict[Any, Any] = {}
        self.factors: dict[tuple[int, ...], Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        row = n.meta.get("row")
        if row is None:
            return super().run_node(n)
        args, _ = self.fetch_args_kwargs_from_env(n)
        if not self.traits[row].reached:
            return None
        node = self.nodes[row]
        if not moves(node):
            y = args[0]
        elif n.op == "call_module":
            y = self._apply(node, args[0])
        else:
            y = self._tame(super().run_node(n)) if self._have(args) else None
        if row in self.wanted and y is not None:
            self.outputs[row] = y
        return y

    def _have(self, args: Any) -> bool:
        operands = args[0] if isinstance(args[0], list | tuple) else args
        return all(operand is not None for operand in operands)

    def _apply(self, node: Node, x: Tensor | None) -> Tensor | None:
        key = node.first
        if key not in self.modules:
            self.modules[key] = zero_padded(transparent(node.layer, node.input_shapes))
        try:
            return None if x is None else self._tame(self.modules[key](x))
        except ValueError:  # a norm cannot measure one number
            return None

    def _tame(self, y: Tensor) -> Tensor:
        """`y` below 1, each number scaled by another factor, none of them 0."""
        if y.shape not in self.factors:
            self.factors[y.shape] = torch.rand_like(y.detach()).contiguous() + 0.5
        largest = float(y.detach().abs().max()) or 1.0
        # Without contiguous() PyTorch 2.15 errs in BatchNorm3d's gradient behind a permute.
        return y.contiguous() * self.factors[y.shape] * (TOP / 1.5 / largest) + BOTTOM
