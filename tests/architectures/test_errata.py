"""docs/errata.md: what it says is computed is what we compute, row by row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import pytest
from support import row, summarize
from support.published import errata, reference, summary_of, write
from test_exercises import WRONG, conv
from test_layer_tables import GOOGLENET
from test_papers import MOBILENET_SHARES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc import Summary


def values(summary: Summary) -> int:
    """Numbers of the input and of every layer that the lectures list."""
    listed = [layer for layer in summary.layers if layer.kind in ("conv", "max_pool", "linear")]
    return prod(summary.input_shape) + sum(prod(layer.output_shape) for layer in listed)


def size(shape: tuple[int, ...]) -> str:
    """`109×109×96`, as papers write it."""
    channels, *sides = shape
    return "×".join(map(str, [*sides, channels]))


def d2l_dense() -> Summary:
    return summarize(
        [6400],
        {"linear": {"out_features": 4096, "bias": False}},
        {"linear": {"out_features": 4096, "bias": False}},
    )


def three_convolutions() -> Summary:
    return summarize([3, 224, 224], *[conv(64, 3, padding=1)] * 3)


def transposed_input_of_six() -> str:
    fields = {"out_channels": 1, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
    sides = [
        n for n in range(1, 9) if row([1, n, n], {"conv_transpose": fields}).output_shape[1] == 6
    ]
    return "×".join(map(str, sides * 2))


COMPUTED: dict[str, Callable[[], str]] = {
    "cs231n, VGG16: memory of an image": lambda: write(4 * values(summary_of("vgg16")), "0.0 MiB"),
    "cs231n: three 3×3×64 on 224×224×3, memory": lambda: write(
        2 * three_convolutions().totals.activation_bytes, "0.0 MiB"
    ),
    "d2l, AlexNet: operations of two dense layers": lambda: write(d2l_dense().totals.flops, "0 M"),
    "d2l, AlexNet: memory of two dense layers": lambda: write(
        d2l_dense().totals.weight_bytes, "0 MiB"
    ),
    "d2l, VGG-11: memory of the first dense layer": lambda: write(
        4 * prod(summary_of("vgg", "vgg_a").layers[-8].output_shape) * 4096, "0 MiB"
    ),
    "Krizhevsky et al. 2012, Figure 2, first map of 224×224": lambda: size(
        row([3, 224, 224], conv(96, 11, stride=4)).output_shape
    ).removesuffix("×96"),
    "SqueezeNet Table 1: conv1 of 224×224": lambda: size(
        summary_of("squeezenet", side=224).layers[0].output_shape
    ),
    "SqueezeNet Table 1: maxpool8": lambda: size(
        next(
            layer for layer in summary_of("squeezenet").layers if layer.name == "maxpool8"
        ).output_shape
    ),
    "Dumoulin & Visin, padding_strides_odd_transposed: input": transposed_input_of_six,
}
"""Rows that no test of a table computes."""


def rows_of_tables() -> set[str]:
    """Rows that tests of tables look up, each against a figure of its own."""
    papers, tables = reference("papers"), reference("layer_tables")
    totals = {
        f"{where}, {what}"
        for where, *_ in papers["figures"]
        for what in ("multiply-adds", "parameters")
    }
    checkpoints = {
        f"slim mobilenet_v1.md: {alpha}_{side}, multiply-adds"
        for alpha, side, *_ in papers["mobilenet_v1_checkpoints"]["rows"]
    }
    johnson = {
        f"Johnson, AlexNet slide: {name}, flop" for name, *_ in tables["johnson_alexnet"]["rows"]
    }
    googlenet = {
        f"Szegedy et al. 2014, Table 1: {key}, {what}"
        for key in GOOGLENET
        for what in ("ops", "params")
    }
    shares = {
        f"Howard et al. 2017, Table 2: {kind}, multiply-adds" for kind, *_ in MOBILENET_SHARES
    }
    quiz = {f"quiz bank: {question}" for question in WRONG}
    neurons = {
        "Krizhevsky et al. 2012, neurons",
        "Krizhevsky et al. 2012, Figure 2, neurons of the first layer",
    }
    return (
        totals
        | checkpoints
        | johnson
        | googlenet
        | shares
        | quiz
        | neurons
        | {"cs231n: W=10, F=3, P=0, S=2", "torchvision, inception_v3: parameters"}
    )


def test_every_row_is_computed_by_a_test() -> None:
    assert {*errata()} - rows_of_tables() == {*COMPUTED}


@pytest.mark.parametrize("where", COMPUTED)
def test_computed_figure(where: str) -> None:
    published, computed = errata()[where]
    assert COMPUTED[where]() == computed != published


def test_rows_differ_from_what_is_published() -> None:
    assert [
        where for where, (published, computed) in errata().items() if published == computed
    ] == []
