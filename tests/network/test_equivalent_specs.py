"""Pairs of files that must agree: what one way of writing says, the other says too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import bundled, conv, network, summarize, table

import cnncalc

if TYPE_CHECKING:
    from cnncalc import Summary


def test_a_repeat_equals_its_copies() -> None:
    layer = conv(3, 3, padding=1)

    repeated = summarize([3, 8, 8], {"repeat": 3, **layer}, "relu")
    copied = summarize([3, 8, 8], layer, layer, layer, "relu")

    assert repeated.layers == copied.layers
    assert [layer.name for layer in repeated.layers] == ["conv1", "conv2", "conv3", "relu1"]


def test_a_repeated_group_equals_its_copies() -> None:
    group = {"layers": [conv("=8*(index + 1)", 3), "relu"]}

    repeated = summarize([3, 12, 12], {"repeat": 3, **group})
    copied = summarize([3, 12, 12], *({"layers": [conv(out, 3), "relu"]} for out in (8, 16, 24)))

    assert repeated.layers == copied.layers


def test_a_name_under_repeat_is_numbered() -> None:
    named = summarize([4], {"repeat": 3, "name": "fc", "linear": 4})

    assert [layer.name for layer in named.layers] == ["fc1", "fc2", "fc3"]
    assert table(named) == table(summarize([4], {"repeat": 3, "linear": 4}))


@pytest.mark.parametrize(
    "nothing", [{"repeat": 0}, {"if": False}, {"if": "=in_channels > 3"}, {"repeat": "=n - 1"}]
)
def test_what_is_left_out_equals_nothing(nothing: dict[str, Any]) -> None:
    parameters = {"n": 1}

    without = summarize([3, 8, 8], conv(4, 3), "relu", parameters=parameters)
    left_out = summarize(
        [3, 8, 8], {**nothing, **conv(9, 3)}, conv(4, 3), "relu", parameters=parameters
    )

    assert left_out.layers == without.layers


BLOCK = {
    "parameters": {"width": None, "kernel": 3},
    "layers": [conv("=width", "=kernel", bias=False), "batch_norm", "relu"],
}


def test_a_block_equals_its_layers() -> None:
    called = summarize(
        [3, 9, 9], {"unit": 4}, {"unit": {"width": 6, "kernel": 5}}, blocks={"unit": BLOCK}
    )
    inlined = summarize(
        [3, 9, 9],
        *(conv(4, 3, bias=False), "batch_norm", "relu"),
        *(conv(6, 5, bias=False), "batch_norm", "relu"),
    )

    assert table(called) == table(inlined)
    assert [layer.layer for layer in called.layers] == [layer.layer for layer in inlined.layers]
    assert called.layers[0].name == "unit1.conv1"


def test_a_group_equals_its_layers() -> None:
    layers = [conv(4, 3), "relu", {"max_pool": 2}]

    assert table(summarize([3, 9, 9], {"layers": layers})) == table(summarize([3, 9, 9], *layers))


def test_an_expression_equals_its_value() -> None:
    worked = summarize(
        [3, 9, 9],
        conv("=4*width", "=2*in_channels - 3"),
        parameters={"width": 2},
    )

    assert worked.layers == summarize([3, 9, 9], conv(8, 3)).layers


BODY = [conv(3, 3, padding=1), "relu", conv(3, 3, padding=1)]


def test_a_residual_is_an_add_with_an_empty_branch() -> None:
    residual = summarize([3, 9, 9], {"residual": BODY}, "relu")

    assert table(residual) == table(summarize([3, 9, 9], {"add": [BODY, []]}, "relu"))
    assert table(residual) == table(summarize([3, 9, 9], {"residual": {"body": BODY}}, "relu"))
    assert residual.layers[2].name == "residual1.body.conv2"


def test_a_residual_with_a_shortcut_is_an_add_of_two_branches() -> None:
    shortcut = [conv(3, 1), "batch_norm"]
    residual = summarize([3, 9, 9], {"residual": {"body": BODY, "shortcut": shortcut}})

    assert table(residual) == table(summarize([3, 9, 9], {"add": [BODY, shortcut]}))


@pytest.mark.parametrize("join", ["add", "concat", "multiply"])
def test_inputs_equal_branches(join: str) -> None:
    first, second = conv(3, 3, padding=1), conv(3, 5, padding=2)
    branches = summarize([3, 9, 9], {join: [[first, "relu"], [second], []]}, "relu")
    named = summarize(
        [3, 9, 9],
        {"name": "a", **first},
        {"name": "b", "relu": None},
        {"name": "c", "inputs": ["input"], **second},
        {join: {}, "inputs": ["b", "c", "input"]},
        "relu",
    )

    assert table(branches) == table(named)
    assert branches.output_shape == named.output_shape


def test_the_order_of_branches_changes_no_total() -> None:
    branches = [
        [conv(4, 1)],
        [conv(2, 3, padding=1)],
        [{"max_pool": {"kernel_size": 3, "stride": 1, "padding": 1}}],
    ]

    one = summarize([3, 9, 9], {"concat": branches})
    other = summarize([3, 9, 9], {"concat": branches[::-1]})

    assert one.totals == other.totals
    assert one.layers != other.layers


def test_nested_joins_of_one_kind_count_like_a_flat_one() -> None:
    a, b, c = ([conv(2, 3)], [conv(3, 3)], [conv(4, 3)])
    flat = summarize([1, 9, 9], {"concat": [a, b, c]})
    nested = summarize([1, 9, 9], {"concat": [[{"concat": [a, b]}], c]})

    assert flat.output_shape == nested.output_shape == (9, 7, 7)
    assert flat.totals.parameters == nested.totals.parameters


def test_a_variant_is_its_parameters() -> None:
    assert bundled("resnet18").layers == bundled("resnet", unit="basic", depths=[2, 2, 2, 2]).layers


def test_resnet_18_for_cifar_is_resnet_18_behind_its_stem() -> None:
    """Fed 128×128, the one for ImageNet has 64 maps of 32×32 behind its stem, as the other has."""
    theirs = cnncalc.analyze(
        cnncalc.load("resnet18", input=[3, 128, 128], parameters={"classes": 10})
    )
    fields = ("output_shape", "parameters", "buffers", "multiply_adds", "flops")
    ours, rest = (
        [tuple(getattr(layer, field) for field in fields) for layer in summary.layers]
        for summary in (bundled("resnet18_cifar"), theirs)
    )

    assert ours[3:] == rest[4:]


def test_freezing_moves_parameters_and_loses_none() -> None:
    def lenet(**option: Any) -> Summary:
        return summarize(
            [1, 28, 28], {**option, "layers": [conv(32, 5), "batch_norm"]}, conv(64, 5)
        )

    learnt, frozen = lenet().totals, lenet(frozen=True).totals
    assert frozen.frozen_parameters == 832 + 64
    assert frozen.parameters + frozen.frozen_parameters == learnt.parameters
    assert (frozen.weight_bytes, frozen.multiply_adds) == (
        learnt.weight_bytes,
        learnt.multiply_adds,
    )


def test_shared_weights_count_once_and_work_twice() -> None:
    layer = conv(3, 3, padding=1)
    apart = summarize([3, 9, 9], layer, layer)
    shared = summarize([3, 9, 9], {"name": "first", **layer}, {"shares": "first", **layer})

    assert apart.totals.parameters == 2 * shared.totals.parameters
    assert apart.totals.weight_bytes == 2 * shared.totals.weight_bytes
    assert apart.totals.multiply_adds == shared.totals.multiply_adds


def test_plain_data_equals_a_file(tmp_path: Path) -> None:
    data = network([1, 28, 28], conv(32, 5), {"max_pool": 3}, "relu", name="net")
    file = tmp_path / "net.yaml"
    file.write_text(
        "name: net\ninput: [1, 28, 28]\nlayers:\n"
        "  - conv: {out_channels: 32, kernel_size: 5}\n  - max_pool: 3\n  - relu\n",
        encoding="utf-8",
    )

    assert cnncalc.analyze(data) == cnncalc.analyze(file)


def test_a_repeat_sees_what_each_turn_is_given() -> None:
    """Its expressions are worked out anew where the shape differs."""
    layer = conv("=2*in_channels", 1)
    repeated = summarize([3, 8, 8], {"repeat": 3, **layer})
    assert [row.output_shape[0] for row in repeated.layers] == [6, 12, 24]
    assert repeated.layers == summarize([3, 8, 8], conv(6, 1), conv(12, 1), conv(24, 1)).layers
