"""Questions and answers of public courses: cs231n, EECS 498, AI604, deeplearning.ai, d2l.

Sources: cs231n/cs231n.github.io @ 3d84654b, convolutional-networks.md; student notes of EECS 498
(Michigan), lectures 7 and 8, and of AI604; the quiz of deeplearning.ai, course 4, week 1, and notes
of its lectures; d2l-ai/d2l-en @ 23d7a5ae.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from support import row, summarize
from support.published import expected

import cnncalc

if TYPE_CHECKING:
    from collections.abc import Callable


def conv(out_channels: int, kernel_size: Any, **fields: Any) -> dict[str, Any]:
    return {"conv": {"out_channels": out_channels, "kernel_size": kernel_size, **fields}}


def values_of(summary: cnncalc.Summary) -> int:
    return sum(prod(layer.output_shape) for layer in summary.layers)


ALEXNET_CONV1 = conv(96, 11, stride=4)
"""The `same` of rows 12 and 14: 96 filters of 11×11×3 moved by 4."""
JOHNSON_CONV1 = conv(64, 11, stride=4, padding=2)
"""The `same` of rows 28 and 30: the first layer of Johnson's AlexNet."""
INCEPTION_5X5 = [conv(16, 1), conv(32, 5, padding=2)]
D2L_DOWN = conv(20, 5, padding=2, stride=3)
D2L_UP = {"conv_transpose": {"out_channels": 10, "kernel_size": 5, "padding": 2, "stride": 3}}

EXERCISES: dict[str, tuple[object, Callable[[], object]]] = {
    "cs231n 2: weights of one dense neuron on 200×200×3": (
        120_000,
        lambda: (
            row([3, 200, 200], "flatten", {"linear": {"out_features": 1, "bias": False}}).parameters
        ),
    ),
    "cs231n 4: connections of a neuron to 3×3 of 20 channels": (
        180,
        lambda: row([20, 16, 16], conv(1, 3, bias=False)).parameters,
    ),
    "cs231n 6: 7×7, 3×3 filter, stride 2": (
        (1, 3, 3),
        lambda: row([1, 7, 7], conv(1, 3, stride=2)).output_shape,
    ),
    "cs231n 8: W=5, F=3, P=1, S=2": (
        (1, 3),
        lambda: row([1, 5], conv(1, 3, padding=1, stride=2)).output_shape,
    ),
    "cs231n 12: neurons of AlexNet's first layer": (
        290_400,
        lambda: prod(row([3, 227, 227], ALEXNET_CONV1).output_shape),
    ),
    "cs231n 14: its weights, its parameters": (
        [34_848, 34_944],
        lambda: [
            prod(row([3, 227, 227], ALEXNET_CONV1).weights["weight"]),
            row([3, 227, 227], ALEXNET_CONV1).parameters,
        ],
    ),
    "cs231n 16: 11×11×4, F=5, S=2": (
        (1, 4, 4),
        lambda: row([4, 11, 11], conv(1, 5, stride=2)).output_shape,
    ),
    "cs231n 18: 224×224×64, 2×2 pool, stride 2": (
        (64, 112, 112),
        lambda: row([64, 224, 224], {"max_pool": {"kernel_size": 2, "stride": 2}}).output_shape,
    ),
    "cs231n 20: 27C² weights in three 3×3, 49C² in one 7×7": (
        [27 * 13**2, 49 * 13**2],
        lambda: [
            summarize([13, 9, 9], *[conv(13, 3, bias=False)] * 3).totals.parameters,
            summarize([13, 9, 9], conv(13, 7, bias=False)).totals.parameters,
        ],
    ),
    "cs231n 22: values of three 3×3×64 on 224×224×3": (
        9_633_792,
        lambda: values_of(summarize([3, 224, 224], *[conv(64, 3, padding=1)] * 3)),
    ),
    "EECS 498 24: 3×32×32, ten 5×5, pad 2": (
        (10, 32, 32),
        lambda: row([3, 32, 32], conv(10, 5, padding=2)).output_shape,
    ),
    "EECS 498 26: its multiply-adds": (
        768_000,
        lambda: row([3, 32, 32], conv(10, 5, padding=2)).multiply_adds,
    ),
    "EECS 498 28: KB of AlexNet's first output": (
        784,
        lambda: row([3, 227, 227], JOHNSON_CONV1).activation_bytes / 1024,
    ),
    "EECS 498 30: its multiply-adds": (
        72_855_552,
        lambda: row([3, 227, 227], JOHNSON_CONV1).multiply_adds,
    ),
    "AI604 32: multiply-adds of 9216 → 4096": (
        37_748_736,
        lambda: row([9216], {"linear": 4096}).multiply_adds,
    ),
    "deeplearning.ai 34: 300×300×3, 100 filters of 5×5": (
        7_600,
        lambda: row([3, 300, 300], conv(100, 5)).parameters,
    ),
    "deeplearning.ai 36: 15×15×8 padded by 2": (
        (8, 19, 19),
        lambda: row([8, 15, 15], {"pad": 2}).output_shape,
    ),
    "deeplearning.ai 38: 32×32×16, 2×2 max pool, stride 2": (
        (16, 16, 16),
        lambda: row([16, 32, 32], {"max_pool": {"kernel_size": 2, "stride": 2}}).output_shape,
    ),
    "deeplearning.ai 40: 37×37×10, twenty 5×5, stride 2": (
        (20, 17, 17),
        lambda: row([10, 37, 37], conv(20, 5, stride=2)).output_shape,
    ),
    "deeplearning.ai 42: units of 7×7×40": (
        (1960,),
        lambda: row([40, 7, 7], "flatten").output_shape,
    ),
    "deeplearning.ai 44: 28×28×192, 1×1×16 before 5×5×32": (
        [2_408_448, 10_035_200, 12_443_648],
        lambda: [
            *(layer.multiply_adds for layer in summarize([192, 28, 28], *INCEPTION_5X5).layers),
            summarize([192, 28, 28], *INCEPTION_5X5).totals.multiply_adds,
        ],
    ),
    "d2l 46: 3×3, 2×2 kernel, 2 rows and columns of padding in all": (
        (1, 4, 4),
        lambda: row([1, 3, 3], conv(1, 2, padding=1)).output_shape,
    ),
    "d2l 48: 8×8, kernel (3, 5), padding (0, 1), stride (3, 4)": (
        (1, 2, 2),
        lambda: row([1, 8, 8], conv(1, [3, 5], padding=[0, 1], stride=[3, 4])).output_shape,
    ),
    "d2l 50: over 53 billion operations, 256×256, 5×5, 128 → 128": (
        53_687_091_200,
        lambda: row([128, 256, 256], conv(128, 5, padding=2, bias=False)).flops,
    ),
    "d2l 52: VGG-11's first dense layer takes almost 400 MB": (
        392,
        lambda: (
            row([25088], {"linear": {"out_features": 4096, "bias": False}}).weight_bytes / 2**20
        ),
    ),
    "d2l 54: 2×2, transposed 2×2, padding 1": (
        (1, 1, 1),
        lambda: (
            row(
                [1, 2, 2],
                {"conv_transpose": {"out_channels": 1, "kernel_size": 2, "padding": 1}},
            ).output_shape
        ),
    ),
    "d2l 56: a convolution and its transpose": (
        (10, 16, 16),
        lambda: row([10, 16, 16], D2L_DOWN, D2L_UP).output_shape,
    ),
    "d2l 58: channels of a dense block of 2, growth 10": (
        (23, 8, 8),
        lambda: (
            row(
                [3, 8, 8],
                {"repeat": 2, "concat": [[], ["batch_norm", "relu", conv(10, 3, padding=1)]]},
            ).output_shape
        ),
    ),
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_answer(exercise: str) -> None:
    answer, computed = EXERCISES[exercise]
    assert computed() == answer


def test_window_that_does_not_fit_is_floored() -> None:
    """cs231n 10: W=10, F=3, P=0, S=2 is "4.5: invalid". PyTorch's rule drops the last column."""
    layer = row([1, 10], conv(1, 3, stride=2))
    computed = expected("cs231n: W=10, F=3, P=0, S=2", "does not fit")
    assert layer.output_shape == (1, int(computed)) == (1, 4)
    assert layer.formulas.output_shape[1].text == "⌊(10 + 2·0 − 3)/2⌋ + 1"
    unread = 10 - (layer.receptive_field.size[0] or 0) - 3 * (layer.receptive_field.jump[0] or 0)
    assert unread == 1


WRONG: dict[str, tuple[str, object, Callable[[], object]]] = {
    "FLOPs of 64 3×3, pad 1, on 3×224×224": (
        "72,855,552",
        86_704_128,
        lambda: row([3, 224, 224], conv(64, 3, padding=1)).multiply_adds,
    ),
    "parameters of ten 5×5 with bias on 3×32×32": (
        "1510",
        760,
        lambda: row([3, 32, 32], conv(10, 5, padding=2)).parameters,
    ),
    "transposed 2×2, stride 1, on 3×3": (
        "5",
        4,
        lambda: row(
            [1, 3, 3], {"conv_transpose": {"out_channels": 1, "kernel_size": 2}}
        ).output_shape[1],
    ),
    "KB of 112×112×128 in float32": (
        "6,144",
        6272,
        lambda: row([128, 112, 112], "relu").activation_bytes / 1024,
    ),
    "KB of 28×28×256 in float32": (
        "800",
        784,
        lambda: row([256, 28, 28], "relu").activation_bytes / 1024,
    ),
}
"""Answers of a published quiz bank on EECS 498, lecture 8, that are wrong: controls."""


@pytest.mark.parametrize("question", WRONG)
def test_wrong_answer_does_not_come_out(question: str) -> None:
    printed, right, computed = WRONG[question]
    assert computed() == right
    assert computed() != int(printed.replace(",", ""))
    assert f"{right:,}" == expected(f"quiz bank: {question}", printed)
