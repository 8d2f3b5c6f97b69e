"""`verify`: the table of a network against the module that is built from it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.analysis.analyze import analyze_graph
from cnncalc.network.expansion import build_graph
from cnncalc.spec.architecture import Architecture
from cnncalc.spec.loading import load
from cnncalc.verification.fields.prove import prove
from cnncalc.verification.measuring import culprit, measure
from cnncalc.verification.result import Check, LayerChecks, Verification
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from cnncalc.analysis.summary import LayerSummary, Summary
    from cnncalc.layers.base import Shape
    from cnncalc.network.graph import Graph, Node
    from cnncalc.verification.fields.prove import Proof
    from cnncalc.verification.measuring import Measured, Ran, Tensors

MODULE = "module"
FIELD = "receptive field"


def verify(
    network: Architecture | str | os.PathLike[str] | Mapping[str, Any], *, quick: bool = False
) -> Verification:
    """Builds the network and compares its table with the module, layer by layer.

    Shapes, parameters, buffers, multiply-adds and bytes are measured on the meta device, receptive
    fields by gradients on real numbers; `quick` leaves these out.

    Raises:
        SpecError: the spec is wrong.
    """
    if not isinstance(network, Architecture):
        network = load(network)
    graph = build_graph(network)
    graph.check_buildable()
    summary = analyze_graph(graph)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # `same` padding of even kernels
        torch.manual_seed(0)
        try:
            measured = measure(graph)
        except Exception:
            found = culprit(graph)
            if found is None:
                raise
            return _unbuilt(summary, *found)
        spatial = len(graph.input_shape) > 1
        proof = prove(graph, measured.model) if spatial and not quick else None
    notes = [
        f"PyTorch {torch.__version__}: shapes, parameters, buffers, multiply-adds and bytes of"
        f" {len(graph.nodes):,} layers and of the whole module, on the meta device"
    ]
    if proof is not None:
        notes += proof.notes
    elif spatial:
        notes.append("receptive fields: left out, as asked for")
    notes += [f"of what was imported, {line}" for line in summary.left_out.lines()]
    rows = zip(graph.nodes, summary.layers, measured.layers, measured.tensors, strict=True)
    layers = [
        LayerChecks(row.name, (*_checks(node, row, ran, its), *_field_check(node, row, proof)))
        for node, row, ran, its in rows
    ]
    totals = _totals(graph, summary, measured)
    if proof is not None:
        check = layers[graph.output].checks[-1]
        totals.append(check)
    return Verification(
        summary.name, summary.input_shape, tuple(layers), tuple(totals), tuple(notes)
    )


def _unbuilt(summary: Summary, node: Node, problem: str) -> Verification:
    """What there is to say where a layer cannot even be built."""
    failed = Check(MODULE, "is built", problem)
    layers = [
        LayerChecks(row.name, (failed,) if number == node.number else ())
        for number, row in enumerate(summary.layers)
    ]
    notes = (f"PyTorch {torch.__version__}: the module could not be built",)
    return Verification(summary.name, summary.input_shape, tuple(layers), (), notes)


def _checks(node: Node, row: LayerSummary, ran: Ran, its: Tensors) -> list[Check]:
    """What was measured of one layer on the meta device."""
    fine = not ran.problem
    buffers = {name: tuple(shape) for name, shape in node.layer.buffers(*node.input_shapes).items()}
    checks = [
        Check("output", row.output_shape, ran.output_shape if fine else None),
        Check("parameters", _known(row.parameters), its.parameters),
        Check("frozen parameters", _known(row.frozen_parameters), its.frozen_parameters),
        Check("buffers", _known(row.buffers), sum(map(_numbers, its.buffers.values()))),
        Check("tensors", _named(row.weights, buffers), _named(its.weights, its.buffers)),
        Check("multiply-adds", _known(row.multiply_adds), ran.multiply_adds if fine else None),
        Check("activation bytes", _known(row.activation_bytes), ran.bytes if fine else None),
    ]
    return checks if fine else [Check(MODULE, "runs", ran.problem), *checks]


def _known(figure: int | None) -> int:
    assert figure is not None  # what has no layer is not built
    return figure


def _field_check(node: Node, row: LayerSummary, proof: Proof | None) -> list[Check]:
    if proof is None:
        return []
    size = row.receptive_field.size
    if node.number in proof.problems:
        return [Check(FIELD, size, proof.problems[node.number])]
    return [Check(FIELD, size, None if node.number in proof.unmeasured else size)]


def _totals(graph: Graph, summary: Summary, measured: Measured) -> list[Check]:
    """What was measured of the whole module."""
    totals, whole, model = summary.totals, measured.whole, measured.model
    fine = not whole.problem
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    checks = [] if fine else [Check(MODULE, "runs", whole.problem)]
    return [
        *checks,
        Check("output", summary.output_shape, whole.output_shape if fine else None),
        Check("parameters", totals.parameters, learnt),
        Check("frozen parameters", totals.frozen_parameters, frozen),
        Check("buffers", totals.buffers, sum(b.numel() for b in model.buffers())),
        Check("names in state_dict", *_names(graph, model.state_dict())),
        Check("multiply-adds", totals.multiply_adds, whole.multiply_adds if fine else None),
        Check("activation bytes", totals.activation_bytes, _sum(measured)),
    ]


def _sum(measured: Measured) -> float | None:
    if any(ran.problem for ran in measured.layers):
        return None
    return sum(ran.bytes for ran in measured.layers)


def _names(graph: Graph, state: Mapping[str, Any]) -> tuple[int, int | str]:
    """How many tensors the table names, and how many there are; or which is not there."""
    named = {
        f"{node.name}.{tensor}"
        for node in graph.nodes
        for tensors in (
            node.layer.weights(*node.input_shapes),
            node.layer.buffers(*node.input_shapes),
        )
        for tensor in tensors
    }
    missing, strange = sorted(named - set(state)), sorted(set(state) - named)
    if missing or strange:
        found = [f"not {missing[0]}"] if missing else []
        found += [f"also {strange[0]}"] if strange else []
        return len(named), f"{len(state)}: {', '.join(found)}"
    return len(named), len(state)


def _numbers(shape: Shape) -> int:
    return torch.Size(shape).numel()


def _named(*tensors: Mapping[str, Shape]) -> str:
    """`weight 32×1×5×5, bias 32`."""
    every = {name: shape for each in tensors for name, shape in each.items()}
    return ", ".join(f"{name} {write_shape(shape)}".rstrip() for name, shape in every.items())
