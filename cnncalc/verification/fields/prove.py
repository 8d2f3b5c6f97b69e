"""The receptive fields of a network against gradients: each layer's step, then whole chains."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis.analyze import fields_of
from cnncalc.maths.receptive_fields import Unknown
from cnncalc.verification.fields.chains import Sight, compare
from cnncalc.verification.fields.steps import (
    COSTLY,
    Step,
    axes_of,
    is_affordable,
    measure_step,
    problem_of,
)
from cnncalc.verification.fields.traits import traits_of
from cnncalc.verification.fields.transparent import FILLED_MODES
from cnncalc.verification.measuring import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import fx

    from cnncalc.network.graph import Graph, Node
    from cnncalc.verification.fields.steps import Fields

SAMPLES = 4
METHOD = "positive weights, max pools as sums"


class Proof(NamedTuple):
    """What was found."""

    problems: dict[int, str]
    """Where gradients contradict the table, by node."""
    unmeasured: set[int]
    """Nodes of which nothing could be measured."""
    notes: list[str]
    """What was compared, and what was left out."""


def prove(graph: Graph, model: fx.GraphModule) -> Proof:
    """Compares the fields of a graph with gradients; `model` is the graph's, on any device."""
    claimed = fields_of(graph)
    steps, problems = _prove_steps(graph, claimed)
    left_out = {
        COSTLY: {node.number for node in graph.nodes} - set(steps),
        "norms and softmaxes of one number": {n for n, step in steps.items() if step.hollow},
        "with more units than are followed": _unfollowed(graph, claimed),
    }
    unmeasured = set().union(*left_out.values())
    units = sum(len(step.places) for step in steps.values())
    notes = [
        f"receptive fields, layer by layer: {_count(units, 'unit')} of"
        f" {_count(len(set(steps) - unmeasured))} against gradients by their own inputs"
        f" ({_method(graph)})",
        *_left_out(Counter({reason: len(nodes) for reason, nodes in left_out.items()})),
    ]
    if problems:
        notes.append("receptive fields, end to end: left out, as layers differ by themselves")
        return Proof(problems, unmeasured, notes)
    sight = Sight(claimed, fields_of(graph, clipped=True), traits_of(graph, steps, claimed))
    found = compare(graph, model, sight)
    notes.append(
        f"receptive fields, end to end: {_count(found.units, 'unit')} of"
        f" {_count(len(found.compared))} against gradients by the image"
    )
    notes += _left_out(found.left_out)
    partial = sum(sight.traits[number].partial for number in found.compared)
    if partial:
        notes.append(
            f"  with channels chosen from several branches: {_count(partial)};"
            " asked only that they see no more than their fields"
        )
    return Proof(found.problems, unmeasured, notes)


def _unfollowed(graph: Graph, claimed: Mapping[int, Fields]) -> set[int]:
    return {
        node.number
        for node in graph.nodes
        if any(isinstance(field, Unknown) for field in claimed[node.number])
    }


def _prove_steps(
    graph: Graph, claimed: Mapping[int, Fields]
) -> tuple[dict[int, Step], dict[int, str]]:
    """What was measured of each layer that is small enough, and what contradicts the table.

    Equal layers are measured once, on one sample; what seems wrong is measured again on several.
    """
    known: dict[Any, Step] = {}
    steps, problems = {}, {}
    for node in graph.nodes:
        if not is_affordable(node.layer, node.input_shapes, node.output_shape):
            continue
        before = tuple(claimed[source] for source in node.inputs)
        after = claimed[node.number]
        key = (node.first, *map(axes_of, (*before, after)))
        for samples in (1, SAMPLES):
            if key not in known or known[key].samples < samples:
                known[key] = _measured(node, before, after, samples)
            problem = problem_of(node, known[key], before, after)
            if not problem:
                break
        else:
            problems[node.number] = problem
        steps[node.number] = known[key]
    return steps, problems


def _measured(node: Node, before: tuple[Fields, ...], after: Fields, samples: int) -> Step:
    try:
        return measure_step(node, before, after, samples)
    except Exception as error:  # noqa: BLE001 - a layer class may do anything
        return Step([], [], samples=samples, problem=explain(error))


def _method(graph: Graph) -> str:
    modes = (
        getattr(node.layer, "padding_mode", getattr(node.layer, "mode", "")) for node in graph.nodes
    )
    return f"{METHOD}, padding of any mode as zeros" if FILLED_MODES & {*modes} else METHOD


def _left_out(reasons: Counter[str]) -> list[str]:
    return [f"  left out, {reason}: {_count(count)}" for reason, count in reasons.items() if count]


def _count(count: int, what: str = "layer") -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
