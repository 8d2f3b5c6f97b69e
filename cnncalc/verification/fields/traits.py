"""What the layers up to a node do to its receptive field, and what may then be asked of it.

A field is one for all numbers of a tensor that share a place. Where single numbers see less and
only some of them are used further on, units see less than their fields; where pixels are cut away
and a ring is added, fields count the pixels that were cut. docs/conventions.md states the rule.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from cnncalc.layers.merge import Merge
from cnncalc.maths.receptive_fields import Constant
from cnncalc.maths.windows import SAME, Window
from cnncalc.network.names import INPUT
from cnncalc.verification.fields.steps import MAX_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnncalc.network.graph import Graph, Node
    from cnncalc.verification.fields.steps import Fields, Step

MAX_COST = 200 * 10**9
"""A node before which more would have to be computed is not run."""
MAX_GATHERED = 2**27
"""Numbers in all windows of a convolution, which PyTorch puts side by side: 1 GiB of float64."""


class Traits(NamedTuple):
    """The traits of a node; all but `reached` are false of an image."""

    reached: bool = True
    """Whether it can be run, and depends on the image at all."""
    costly: bool = False
    """Whether it cannot be run because that would cost too much."""
    loose: bool = False
    """Whether some of its numbers may see less than all at their place."""
    partial: bool = False
    """Whether numbers were chosen from a loose tensor: what is left may see less than its field."""
    cropped: bool = False
    """Whether pixels were cut away."""
    interpolated: bool = False
    """Whether a gradient may hold what floats make of an interpolation's 0."""


def traits_of(
    graph: Graph, steps: Mapping[int, Step], fields: Mapping[int, Fields]
) -> dict[int, Traits]:
    """The traits of each node, by what was measured of each layer."""
    traits = {INPUT: Traits()}
    cost = numbers = 0
    for node in graph.nodes:
        step = steps.get(node.number)
        cost += cost_of(node)
        numbers += _numbers(node) if moves(node) else 0
        before = [traits[number] for number in node.inputs]
        costly = step is None or cost > MAX_COST or numbers > MAX_NUMBERS
        costly = costly or _gathered(node) > MAX_GATHERED or any(each.costly for each in before)
        loose = any(each.loose for each in before)
        chosen = step is not None and (step.drops or _mixes(node, fields))
        traits[node.number] = Traits(
            reached=bool(step and step.seen)
            and not costly
            and all(each.reached for each in before),
            costly=costly,
            loose=loose or bool(step and step.loose),
            partial=any(each.partial for each in before) or (loose and chosen),
            cropped=any(each.cropped for each in before) or _crops(node),
            interpolated=any(each.interpolated for each in before) or node.layer.interpolates,
        )
    return traits


def moves(node: Node) -> bool:
    """Whether any unit of the layer sees anything but the input's unit at its own place."""
    if isinstance(node.layer, Merge):
        return True
    return any(reach is not SAME for reach in node.layer.reach(*node.input_shapes))


def cost_of(node: Node) -> int:
    """Multiply-adds, and numbers put out."""
    return node.layer.multiply_adds(*node.input_shapes).value + prod(node.output_shape)


def _numbers(node: Node) -> int:
    weights = node.layer.weights(*node.input_shapes).values()
    return prod(node.output_shape) + sum(prod(map(int, weight)) for weight in weights)


def _gathered(node: Node) -> int:
    return node.layer.multiply_adds(*node.input_shapes).value // node.output_shape[0]


def _mixes(node: Node, fields: Mapping[int, Fields]) -> bool:
    """Whether an input whose units all have one field joins one whose units differ."""
    return len(node.inputs) > 1 and any(
        isinstance(fields[number][axis], Constant) and not isinstance(field, Constant)
        for axis, field in enumerate(fields[node.number])
        for number in node.inputs
    )


def _crops(node: Node) -> bool:
    reaches = node.layer.reach(node.input_shapes[0])
    return any(isinstance(r, Window) and min(r.before, r.after) < 0 for r in reaches)
