"""Receptive fields, unit by unit, against the gradients of modules: support/autograd_fields.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from support import examples, network
from support.strategies import STRATEGIES, Case

from cnncalc.errors import SpecError

torch = pytest.importorskip("torch", reason="receptive fields are compared with gradients")

from support.autograd_fields import check, graph_of  # noqa: E402
from support.field_networks import KINDS, conv, is_comparable, networks  # noqa: E402

EXAMPLES = {"conv_transpose": 100, "upsample": 100}
EXAMPLES |= dict.fromkeys(("conv", "depthwise_conv", "max_pool", "avg_pool", "pad"), 50)
EXAMPLES |= dict.fromkeys(("adaptive_avg_pool", "reshape", "unflatten", "flatten", "permute"), 40)
EXAMPLES |= dict.fromkeys((kind for kind in KINDS if "norm" in kind or "softmax" in kind), 40)


@pytest.mark.drawn
@pytest.mark.parametrize("kind", KINDS)
def test_field_of_one_layer(kind: str) -> None:
    number = examples(EXAMPLES.get(kind, 20))
    compared = 0

    @settings(max_examples=number)
    @given(STRATEGIES[kind].filter(is_comparable))
    def run(case: Case) -> None:
        nonlocal compared
        shape, layers = [*case.shapes[0]], [{kind: case.fields}]
        if len(shape) == 1:  # a vector has no image behind it: give it one
            shape, layers = [1, *shape], ["flatten", *layers]
        try:
            graph = graph_of(network(shape, *layers))
        except SpecError:
            return
        mode = case.fields.get("padding_mode", case.fields.get("mode"))
        check(graph, interior_only=mode in ("reflect", "replicate", "circular"))
        compared += 1

    run()
    assert compared >= number // 2


# --- networks: chains of such layers, and joins of branches ---------------------------------------


@pytest.mark.drawn
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_fields_of_networks(axes: int) -> None:
    number = examples({1: 150, 2: 40, 3: 15}[axes])
    exact = 0

    @settings(max_examples=number)
    @given(networks(axes))
    def run(spec: dict[str, Any]) -> None:
        nonlocal exact
        exact += check(graph_of(spec))

    run()
    assert exact > number


CORNERS: dict[str, dict[str, Any]] = {
    "gaps of a transposed convolution": network(
        [2, 6], {"conv_transpose": {"out_channels": 2, "kernel_size": 1, "stride": 2}}, conv(2, 2)
    ),
    "a transposed convolution whose units see to and fro": network(
        [2, 9],
        {"conv_transpose": {"out_channels": 2, "kernel_size": 3, "stride": 2, "dilation": 3}},
        conv(2, 4, dilation=2),
    ),
    "dilation in the padding of an uneven axis": network(
        [2, 5], {"upsample": 2.0}, conv(2, 3, padding=2, dilation=2)
    ),
    "one unit times units that all see the same": network(
        [2, 3],
        conv(2, 1, stride=3),
        {"multiply": [[conv(2, 3, padding=1)], [{"upsample": 2.0}]]},
        {"conv_transpose": {"out_channels": 2, "kernel_size": 2}},
    ),
    "groups of channels that were places": network(
        [2, 6], {"permute": {"dims": [0, 2, 1]}}, conv(4, 1, groups=2)
    ),
    "groups of channels, all in a norm": network(
        [2, 6], {"permute": {"dims": [0, 2, 1]}}, {"group_norm": {"num_groups": 3, "eps": 1.0}}
    ),
    "a factor that doubles by chance": network([2, 3, 3], {"upsample": 2.3}),
    "a factor that leaves all as it is": network([2, 5], {"upsample": 1.1}),
    "joins of unequal jumps, then uneven bins": network(
        [2, 12],
        {
            "add": [
                [{"max_pool": {"kernel_size": 2}}],
                [conv(2, 3, padding=1), conv(2, 1, stride=2)],
            ]
        },
        {"adaptive_avg_pool": {"output_size": 4}},
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_fields_in_corners(corner: str) -> None:
    assert check(graph_of(CORNERS[corner])) > 0
