"""The receptive fields of a network against gradients: each layer's step, then whole chains."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.analysis import fields_of
from cnncalc.fields import Unknown
from cnncalc.pytorch import chains
from cnncalc.pytorch.measuring import explain
from cnncalc.pytorch.steps import Step, axes_of, is_affordable, measure_step, problem_of
from cnncalc.pytorch.traits import traits_of
from cnncalc.pytorch.transparent import FILLED_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import fx

    from cnncalc.graph import Graph, Node
    from cnncalc.pytorch.steps import Fields

SAMPLES = 4
METHOD = "float64, positive weights, max pools as sums"


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
    hollow = {number for number, step in steps.items() if step.hollow}
    unknown = {
        node.number
        for node in graph.nodes
        if any(isinstance(field, Unknown) for field in claimed[node.number])
    }
    costly = {node.number for node in graph.nodes} - set(steps)
    units = sum(len(step.places) for step in steps.values())
    measured = set(steps) - hollow
    notes = [
        f"receptive fields, layer by layer: {units:,} units of {len(measured):,} layers against"
        f" gradients by their own inputs ({_method(graph)})"
    ]
    left_out = Counter(
        {
            "would cost too much": len(costly),
            "cannot depend on their input (norms of one number)": len(hollow),
            "have fields that are not followed": len(unknown),
        }
    )
    notes += _left_out(left_out)
    if problems:
        notes.append("receptive fields, end to end: left out, as layers differ by themselves")
        return Proof(problems, costly | hollow | unknown, notes)
    clipped = fields_of(graph, clipped=True)
    sight = chains.Sight(claimed, clipped, traits_of(graph, steps, claimed))
    found = chains.compare(graph, model, sight)
    notes.append(
        f"receptive fields, end to end: {found.units:,} units of {len(found.compared):,} layers"
        " against gradients by the image"
    )
    notes += _left_out(found.left_out)
    partial = sum(sight.traits[number].partial for number in found.compared)
    if partial:
        notes.append(
            f"  {partial:,} of them may see less than their fields (channels chosen from a concat):"
            " only that they see no more was asked"
        )
    return Proof(found.problems, costly | hollow | unknown, notes)


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
        key = (id(node.layer), node.input_shapes, *map(axes_of, (*before, after)))
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
    return [
        f"  left out: {count:,} layer{'s' if count > 1 else ''} that {reason}"
        for reason, count in reasons.items()
        if count
    ]
