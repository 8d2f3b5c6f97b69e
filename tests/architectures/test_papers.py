"""Totals that papers and model zoos print, on networks written as specs and on bundled ones.

What these papers call FLOPs or Mult-Adds are multiply-adds. What does not come out stands in
docs/errata.md.
"""

from __future__ import annotations

from math import floor, prod
from typing import Any

import pytest
from support import row
from support.published import expected, reference, summary_of, write

PAPERS = reference("papers")
FIGURES = [pytest.param(*figure, id=figure[0]) for figure in PAPERS["figures"]]
MOBILENET_V1 = PAPERS["mobilenet_v1_checkpoints"]["rows"]
MOBILENET_V2 = PAPERS["mobilenet_v2_checkpoints"]["rows"]


def plain(figure: str) -> str:
    return figure.replace(",", "")


@pytest.mark.parametrize(("where", "spec", "options", "multiply_adds", "parameters"), FIGURES)
def test_printed_total(
    where: str,
    spec: str,
    options: dict[str, Any],
    multiply_adds: str | None,
    parameters: str | None,
) -> None:
    totals = summary_of(spec, **options).totals
    if multiply_adds is not None:
        computed = plain(write(totals.multiply_adds, multiply_adds))
        assert computed == expected(f"{where}, multiply-adds", multiply_adds)
    if parameters is not None:
        computed = plain(write(totals.parameters, parameters))
        assert computed == expected(f"{where}, parameters", parameters)


def test_resnet50_costs_what_its_strides_say() -> None:
    """3.86 G with the stride on the first 1×1 (He et al.), 4.09 G on the 3×3 (torchvision), 3.48 G
    at the ends of the blocks (slim, without its classifier): one set of weights."""
    he, torchvision = summary_of("resnet_he2015", "he50"), summary_of("resnet", "resnet50")
    slim = summary_of("resnet_v1_slim")
    assert he.totals.parameters == torchvision.totals.parameters == 25_557_032
    assert slim.totals.parameters == he.totals.parameters - he.layers[-1].parameters
    assert [write(s.totals.multiply_adds, "0.00 G") for s in (he, torchvision, slim)] == [
        "3.86 G",
        "4.09 G",
        "3.48 G",
    ]
    last = [[row for row in s.layers if row.kind == "add"][-1] for s in (he, torchvision, slim)]
    assert [row.receptive_field.size[0] for row in last] == [483, 427, 483]


def test_neurons_of_alexnet() -> None:
    """Krizhevsky et al. 2012 say 650,000; the first layer's 253,440 are 55·48·96."""
    layers = [
        layer
        for layer in summary_of("alexnet", groups=2).layers
        if layer.kind in ("conv", "linear")
    ]
    neurons = [prod(layer.output_shape) for layer in layers]
    where = "Krizhevsky et al. 2012, Figure 2, neurons of the first layer"
    assert write(neurons[0], "253,440") == expected(where, "253,440")
    where = "Krizhevsky et al. 2012, neurons"
    assert write(sum(neurons), "650,000") == expected(where, "650,000")


MOBILENET_SHARES = [
    ("Conv 1x1", "94.86 %", "74.59 %"),
    ("Conv DW 3x3", "3.06 %", "1.06 %"),
    ("Conv 3x3", "1.19 %", "0.02 %"),
    ("FC", "0.18 %", "24.33 %"),
]


@pytest.mark.parametrize(("kind", "cost", "size"), MOBILENET_SHARES)
def test_shares_of_mobilenet_v1(kind: str, cost: str, size: str) -> None:
    """Howard et al. 2017, Table 2, of weights alone, without biases and normalisation."""
    weights: dict[str, int] = {}
    products: dict[str, int] = {}
    summary = summary_of("mobilenet_v1")
    for layer in summary.layers:
        if layer.multiply_adds:
            key = {"Conv2d_0": "Conv 3x3", "Logits": "FC"}.get(
                layer.name, "Conv DW 3x3" if layer.kind == "depthwise_conv" else "Conv 1x1"
            )
            weights[key] = weights.get(key, 0) + prod(layer.weights["weight"])
            products[key] = products.get(key, 0) + layer.multiply_adds
    assert sum(products.values()) == summary.totals.multiply_adds
    share = f"{100 * products[kind] / sum(products.values()):.2f} %"
    assert share == expected(f"Howard et al. 2017, Table 2: {kind}, multiply-adds", cost)
    assert f"{100 * weights[kind] / sum(weights.values()):.2f} %" == size


def separable(channels: int) -> list[dict[str, Any]]:
    return [
        {"depthwise_conv": {"kernel_size": 3, "padding": 1, "bias": False}},
        {"conv": {"out_channels": channels, "kernel_size": 1, "bias": False}},
    ]


@pytest.mark.parametrize(
    ("channels", "side", "layers", "cost", "size"),
    [
        (
            512,
            14,
            [{"conv": {"out_channels": 512, "kernel_size": 3, "padding": 1, "bias": False}}],
            "462 M",
            "2.36 M",
        ),
        (512, 14, separable(512), "52.3 M", "0.27 M"),
        (384, 14, separable(384), "29.6 M", "0.15 M"),
        (384, 10, separable(384), "15.1 M", "0.15 M"),
    ],
    ids=["convolution", "separable", "alpha 0.75", "rho 0.714"],
)
def test_one_layer_of_mobilenet_v1(
    channels: int, side: int, layers: list[dict[str, Any]], cost: str, size: str
) -> None:
    """Howard et al. 2017, Table 3."""
    rows = [row([channels, side, side], *layers[: n + 1]) for n in range(len(layers))]
    assert write(sum(layer.multiply_adds for layer in rows), cost) == cost
    assert write(sum(layer.parameters for layer in rows), size) == size


@pytest.mark.parametrize(("alpha", "side", "cost", "size"), MOBILENET_V1)
def test_mobilenet_v1_checkpoints(alpha: float, side: int, cost: int, size: float) -> None:
    """Their parameters are the learnt numbers and one more for each normalised channel."""
    summary = summary_of("mobilenet_v1", side=side, alpha=alpha, classes=1001)
    where = f"slim mobilenet_v1.md: {alpha}_{side}, multiply-adds"
    printed = f"{cost} M"
    assert write(summary.totals.multiply_adds, printed) == expected(where, printed)

    normalised = sum(layer.output_shape[0] for layer in summary.layers if layer.buffers)
    printed = f"{size} M"
    assert write(summary.totals.parameters + normalised, printed) == printed


@pytest.mark.parametrize(("width", "side", "cost", "size"), MOBILENET_V2)
def test_mobilenet_v2_checkpoints(width: float, side: int, cost: int, size: float) -> None:
    """Millions of multiply-adds are cut, not rounded; parameters leave normalisation out."""
    summary = summary_of("mobilenet_v2", side=side, width=width)
    assert floor(summary.totals.multiply_adds / 1e6) == cost
    without = sum(layer.parameters for layer in summary.layers if layer.kind != "batch_norm")
    assert round(without / 1e6, 2) == size
