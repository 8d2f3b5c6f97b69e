"""Random networks against PyTorch: every figure of the table, node by node.

The built module is run on the CPU, in evaluation, beside a plain walk over the graph that applies
each node's module, or a join of its own, to the outputs that the node names. Receptive fields are
compared with autograd by the rule that test_receptive_fields_against_autograd.py states, for
those networks in which nothing escapes it. The networks are the same in every run: a change of the
code, not chance, makes a test fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from support import by_tier, examples
from support.random_networks import JOINS, graph_of, networks

import cnncalc
from cnncalc.layers import registry
from cnncalc.maths.windows import Transposed, Window
from cnncalc.network.names import INPUT

torch = pytest.importorskip("torch", reason="the tables are compared with PyTorch's modules")

from support.autograd_fields import check as check_fields  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

if TYPE_CHECKING:
    from cnncalc.maths.windows import Reach
    from cnncalc.network.graph import Graph

KINDS = sorted(registry().keys() - {"unknown"})
BATCH = 2


@pytest.mark.exhaustive
def test_there_are_1000_networks() -> None:
    assert len(KINDS) * examples(12) >= 1000


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.drawn
@pytest.mark.parametrize("kind", by_tier(KINDS, *KINDS[::2]))
def test_networks_agree_with_pytorch(kind: str) -> None:
    number = examples(12)
    agreed = exact = 0

    @settings(max_examples=number)
    @given(networks(kind))
    def run(spec: dict[str, Any]) -> None:
        nonlocal agreed, exact
        torch.manual_seed(0)
        graph = graph_of(spec)
        assert kind in {node.layer.kind for node in graph.nodes}
        model = cnncalc.build(spec).eval()
        summary = cnncalc.analyze(spec)
        x = torch.rand(BATCH, *graph.input_shape)
        expected = walk(graph, model, x)
        assert_shapes(summary, expected)
        assert_tensors(graph, summary, model)
        assert_multiply_adds(summary, model, x, expected[graph.output])
        if follows_the_rule(graph):
            exact += check_fields(graph)
        agreed += 1

    run()
    assert agreed >= number
    assert exact > 0


def walk(graph: Graph, model: Any, x: Any) -> dict[int, Any]:
    """The output of each node, worked out one by one."""
    outputs = {INPUT: x}
    with torch.no_grad():
        for node in graph.nodes:
            operands = [outputs[index] for index in node.inputs]
            kind = node.layer.kind
            if kind == "concat":
                outputs[node.number] = torch.cat(operands, 1)
            elif kind in JOINS:
                y = operands[0]
                for operand in operands[1:]:
                    y = y + operand if kind == "add" else y * operand
                outputs[node.number] = y
            else:
                outputs[node.number] = model.get_submodule(node.name)(*operands)
    return outputs


def assert_shapes(summary: cnncalc.Summary, outputs: dict[int, Any]) -> None:
    for number, row in enumerate(summary.layers):
        assert (BATCH, *row.output_shape) == tuple(outputs[number].shape), row.name


def assert_tensors(graph: Graph, summary: cnncalc.Summary, model: Any) -> None:
    """Names, shapes and numbers of what is learnt, frozen and kept."""
    learnt, frozen, kept = {}, {}, {}
    for node, row in zip(graph.nodes, summary.layers, strict=True):
        if node.shares is None:
            weights = {f"{row.name}.{name}": shape for name, shape in row.weights.items()}
            (frozen if node.frozen else learnt).update(weights)
        buffers = node.layer.buffers(*node.input_shapes)
        kept.update({f"{row.name}.{name}": shape for name, shape in buffers.items()})
    parameters = dict(model.named_parameters())
    assert [*parameters] == [name for name in parameters if name in {**learnt, **frozen}]
    assert learnt == {n: tuple(p.shape) for n, p in parameters.items() if p.requires_grad}
    assert frozen == {n: tuple(p.shape) for n, p in parameters.items() if not p.requires_grad}
    assert kept == {name: tuple(buffer.shape) for name, buffer in model.named_buffers()}
    numbers = {True: 0, False: 0}
    for parameter in parameters.values():
        numbers[parameter.requires_grad] += parameter.numel()
    totals = summary.totals
    assert {True: totals.parameters, False: totals.frozen_parameters} == numbers
    assert totals.buffers == sum(buffer.numel() for buffer in model.buffers())


def assert_multiply_adds(summary: cnncalc.Summary, model: Any, x: Any, expected: Any) -> None:
    """By layer and in all; and the module computes what the walk does."""
    with torch.no_grad():
        y = model(x)
        with FlopCounterMode(display=False) as counter:
            model(x)  # for the count alone: taken apart, `upsample` comes out other
    torch.testing.assert_close(y, expected, rtol=0, atol=0, equal_nan=True)
    assert counter.get_total_flops() == 2 * BATCH * summary.totals.multiply_adds
    counts = counter.get_flop_counts()
    for row in summary.layers:
        counted = sum(counts.get(f"{type(model).__name__}.{row.name}", {}).values())
        assert counted == 2 * BATCH * row.multiply_adds, row.name


CHOOSERS = ("slice", "select", "reshape", "flatten", "unflatten", "pixel_shuffle")


def follows_the_rule(graph: Graph) -> bool:
    """Whether nothing in the network escapes the rule of receptive fields.

    Beside what escapes it in chains of windows, that is

    - numbers of a concat's channels that are chosen, or become places;
    - windows that along one axis lie in the padding wherever they stand: along the other axes they
      then see nothing, which the fields of single axes cannot say;
    - a product with the zeros of a unit that sees nothing.
    """
    joined = cropped = hollow = False
    for node in graph.nodes:
        layer = node.layer
        if layer.kind in JOINS:
            if layer.kind == "multiply" and hollow:
                return False
            joined = joined or layer.kind == "concat"
            continue
        (x,) = node.input_shapes
        reaches = [*zip(layer.reach(x), x, node.output_shape, strict=False)]
        windows = [reach for reach, *_ in reaches if isinstance(reach, Window)]
        padded = any(w.before > 0 or w.after > 0 or w.ceil_mode for w in windows)
        mode = getattr(layer, "padding_mode", getattr(layer, "mode", "zeros"))
        if mode in ("reflect", "replicate", "circular") or (cropped and padded):
            return False
        if joined and layer.kind in CHOOSERS:
            return False
        seeing = [sight for reach in reaches if (sight := who_sees(*reach))]
        if not all(map(any, seeing)):
            return False
        cropped = cropped or layer.kind == "crop"
        hollow = hollow or not all(map(all, seeing))
    return True


def who_sees(reach: Reach, before: int, after: int) -> list[bool]:
    """For each unit of an axis whether it sees any of the `before` that flow in."""
    if isinstance(reach, Transposed):
        return [reach.seen_by(unit, before) is not None for unit in range(after)]
    if not isinstance(reach, Window):
        return []
    taps = range(0, reach.extent, reach.dilation)
    firsts = range(-reach.before, after * reach.stride - reach.before, reach.stride)
    return [any(0 <= first + tap < before for tap in taps) for first in firsts]
