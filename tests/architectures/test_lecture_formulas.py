"""The formulas and worked numbers of the lectures, each with the deck (L0…L4) that states it."""

from __future__ import annotations

from math import ceil, floor, prod
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import conv, network, row, summarize

import cnncalc

sizes = st.integers(8, 64)
kernels = st.integers(1, 8)
strides = st.integers(1, 5)
rings = st.integers(0, 4)


def pool(kernel: Any, **options: Any) -> dict[str, Any]:
    return {"max_pool": {"kernel_size": kernel, **options}}


# Output size.


@given(sizes, kernels)
def test_l0_a_1d_convolution_has_w_minus_w_plus_1_outputs(size: int, kernel: int) -> None:
    assert row([1, size], conv(1, kernel)).output_shape == (1, size - kernel + 1)


@given(sizes, kernels, strides, rings)
def test_l0_l2_l3_l4_the_four_formulas_are_one(n: int, k: int, s: int, p: int) -> None:
    places = row([1, n, n], conv(1, k, stride=s, padding=p)).output_shape[1]

    assert places == floor((n + 2 * p - k) / s + 1)  # L3
    assert places == ceil((n - k + 1 + 2 * p) / s)  # L2
    if (n - k + 2 * p) % s == 0:
        assert places == (n - k + 2 * p) / s + 1  # L0, L4: for whole results


def test_l3_the_formula_is_printed() -> None:
    size = row([1, 28, 28], conv(1, 5, stride=2, padding=1)).formulas.output_shape[1]

    assert size.text == "⌊(28 + 2·1 − 5)/2⌋ + 1"
    assert size.symbols == "⌊(n + 2·p − k)/s⌋ + 1"


@given(sizes, kernels, strides, rings)
def test_l0_pooling_follows_the_rule_of_convolution(n: int, k: int, s: int, p: int) -> None:
    assume(2 * p <= k)
    pooled = row([3, n, n], pool(k, stride=s, padding=p))

    convolved = row([3, n, n], conv(3, k, stride=s, padding=p))
    assert pooled.output_shape == convolved.output_shape
    assert pooled.receptive_field == convolved.receptive_field


@given(sizes, sizes, kernels, kernels)
def test_l0_pools_that_do_not_overlap(height: int, width: int, h: int, w: int) -> None:
    assert row([3, height, width], pool([h, w])).output_shape == (3, height // h, width // w)


def test_l0_the_stride_of_a_pool_is_its_kernel_and_of_a_convolution_1() -> None:
    assert row([1, 24, 24], pool(3)).receptive_field.jump == (3, 3)
    assert row([1, 24, 24], conv(1, 3)).receptive_field.jump == (1, 1)


@given(sizes, st.integers(0, 4))
def test_l2_same_padding_is_half_of_k_minus_1(size: int, half: int) -> None:
    kernel = 2 * half + 1

    assert row([1, size, size], conv(1, kernel, padding=(kernel - 1) // 2)).output_shape == (
        1, size, size,
    )  # fmt: skip


@pytest.mark.parametrize(("kernel", "rings"), [(5, 2), (7, 3)])
def test_l3_layers_of_zeros_that_keep_the_size(kernel: int, rings: int) -> None:
    sizes = [row([1, 28, 28], conv(1, kernel, padding=p)).output_shape[1] for p in range(6)]

    assert [p for p in range(6) if sizes[p] == 28] == [rings]


@pytest.mark.parametrize("mode", ["replicate", "reflect", "circular"])
def test_l0_padding_with_values_instead_of_zeros_counts_alike(mode: str) -> None:
    zeros = row([3, 12, 12], conv(4, 5, padding=2))
    other = row([3, 12, 12], conv(4, 5, padding=2, padding_mode=mode))

    assert other.layer.endswith(f"padding_mode='{mode}')")
    for figure in ("output_shape", "parameters", "multiply_adds", "receptive_field"):
        assert getattr(zeros, figure) == getattr(other, figure)


# Weights and products.


@given(*[st.integers(1, 8)] * 4, st.booleans())
def test_l0_a_convolution_has_d_c_h_w_weights_and_d_biases(
    c: int, d: int, h: int, w: int, bias: bool
) -> None:
    layer = row([c, 8, 8], conv(d, [h, w], bias=bias))

    assert layer.weights == {"weight": (d, c, h, w)} | ({"bias": (d,)} if bias else {})
    assert layer.parameters == d * c * h * w + d * bias


@given(st.integers(1, 8), st.integers(1, 64), st.integers(1, 64))
def test_l4_k_filters_have_f_f_d1_k_weights_and_k_biases(f: int, d1: int, k: int) -> None:
    layer = row([d1, 8, 8], conv(k, f))

    assert prod(layer.weights["weight"]) == (f * f * d1) * k
    assert layer.weights["bias"] == (k,)


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@given(st.integers(1, 64), st.integers(1, 8))
def test_l0_l2_l4_pooling_learns_nothing_and_keeps_the_channels(
    kind: str, channels: int, kernel: int
) -> None:
    layer = row([channels, 8, 8], {kind: kernel})

    assert layer.weights == {}
    assert (layer.parameters, layer.buffers, layer.multiply_adds) == (0, 0, 0)
    assert layer.output_shape[0] == channels


@given(sizes, st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_l0_l2_products_are_those_of_every_output_and_biases_do_not_count(
    size: int, kernel: int, channels: int, filters: int, stride: int
) -> None:
    layer = row([channels, size, size], conv(filters, kernel, stride=stride))
    each = kernel * kernel * channels

    assert layer.multiply_adds == prod(layer.output_shape) * each
    without = row([channels, size, size], conv(filters, kernel, stride=stride, bias=False))
    assert layer.multiply_adds == without.multiply_adds
    assert layer.parameters - without.parameters == filters


@given(st.integers(1, 5))
def test_l0_dilation_adds_no_weights_and_grows_the_receptive_field(dilation: int) -> None:
    plain = row([2, 40, 40], conv(4, 5))
    dilated = row([2, 40, 40], conv(4, 5, dilation=dilation))

    assert dilated.weights == plain.weights
    assert dilated.receptive_field.size == (dilation * 4 + 1,) * 2  # 5 and the zeros between
    assert dilated.output_shape == (4, 40 - dilation * 4, 40 - dilation * 4)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_l0_l2_groups_divide_weights_and_products(groups: int) -> None:
    whole, grouped = row([8, 9, 9], conv(16, 3)), row([8, 9, 9], conv(16, 3, groups=groups))

    assert grouped.weights["weight"] == (16, 8 // groups, 3, 3)
    assert grouped.multiply_adds * groups == whole.multiply_adds
    assert grouped.output_shape == whole.output_shape


def test_l2_l4_a_1x1_convolution_mixes_channels_and_keeps_the_size() -> None:
    layer = row([64, 56, 56], conv(32, 1))

    assert layer.output_shape == (32, 56, 56)
    assert layer.weights["weight"] == (32, 64, 1, 1)
    assert layer.multiply_adds == 56 * 56 * 64 * 32
    assert layer.receptive_field.size == (1, 1)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_l0_l2_convolution_in_one_two_and_three_dimensions(axes: int) -> None:
    layer = row([3, *[9] * axes], conv(4, 3))

    assert layer.layer == f"nn.Conv{axes}d(3, 4, kernel_size=3)"
    assert layer.output_shape == (4, *[7] * axes)
    assert layer.weights["weight"] == (4, 3, *[3] * axes)
    assert layer.multiply_adds == 4 * 7**axes * 3 * 3**axes


def test_l0_l2_the_axes_of_a_volume_may_differ() -> None:
    assert row([2, 9, 8, 7], conv(5, 3)).output_shape == (5, 7, 6, 5)


# The same sum written otherwise.


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.integers(4, 12))
def test_l3_a_convolution_is_one_matrix_product(
    channels: int, filters: int, kernel: int, size: int
) -> None:
    """Filters one a row, patches one a column: (K × CFF)·(CFF × places)."""
    layer = row([channels, size, size], conv(filters, kernel))
    patch = channels * kernel * kernel
    product = row([prod(layer.output_shape[1:]), patch], {"linear": filters})

    assert prod(layer.weights["weight"]) == prod(product.weights["weight"]) == filters * patch
    assert layer.multiply_adds == product.multiply_adds
    assert prod(layer.output_shape) == prod(product.output_shape)


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 20))
def test_l2_a_fully_connected_layer_is_a_convolution(channels: int, size: int, out: int) -> None:
    convolved = summarize([channels, size, size], conv(out, size), "flatten")
    connected = summarize([channels, size, size], "flatten", {"linear": out})

    assert convolved.output_shape == connected.output_shape == (out,)
    for figure in ("parameters", "multiply_adds", "flops"):
        assert getattr(convolved.totals, figure) == getattr(connected.totals, figure)
    assert convolved.totals.receptive_field.size == connected.totals.receptive_field.size


@given(st.integers(1, 5), st.integers(1, 5))
def test_l2_l3_two_convolutions_in_a_row_collapse_into_one(first: int, second: int) -> None:
    two = row([1, 16, 16], conv(1, first), conv(1, second))
    one = row([1, 16, 16], conv(1, first + second - 1))

    assert two.output_shape == one.output_shape
    assert two.receptive_field == one.receptive_field


# Receptive field.


@given(st.integers(1, 8), st.integers(1, 5))
def test_l2_each_convolution_adds_k_minus_1(layers: int, kernel: int) -> None:
    rows = summarize([1, 40, 40], *[conv(1, kernel)] * layers).layers

    assert [row.receptive_field.size[0] for row in rows] == [
        1 + number * (kernel - 1) for number in range(1, layers + 1)
    ]


def test_l2_in_the_input_against_in_the_previous_layer() -> None:
    """The second 3×3 sees 3×3 of the first one's output, and 5×5 of the input."""
    second = row([1, 20, 20], conv(1, 3), conv(1, 3))

    assert second.weights["weight"][2:] == (3, 3)
    assert second.receptive_field.size == (5, 5)
    assert second.formulas.receptive_field is not None
    assert second.formulas.receptive_field[0].text == "3 + (3 − 1)·1"


@pytest.mark.parametrize("step", [conv(1, 3, stride=2), pool(2)], ids=["stride", "pool"])
def test_l2_strides_and_pools_make_it_grow_faster(step: dict[str, Any]) -> None:
    plain = row([1, 64, 64], conv(1, 3), conv(1, 3)).receptive_field.size[0]
    strided = row([1, 64, 64], step, conv(1, 3)).receptive_field
    before = row([1, 64, 64], step).receptive_field.size[0]

    assert strided.size[0] - before == 2 * (plain - 3) == 4
    assert strided.jump == (2, 2)


# Worked numbers.


def test_l0_a_dense_layer_on_a_200x200_image() -> None:
    summary = summarize(
        [3, 200, 200], "flatten", {"linear": {"out_features": 120_000, "bias": False}}
    )
    flatten, dense = summary.layers

    assert flatten.output_shape == dense.output_shape == (120_000,)
    assert dense.parameters == 144 * 10**8
    assert dense.weight_bytes == 57_600_000_000


@pytest.mark.parametrize(("signal", "outputs"), [(10, 9), (11, 10)])
def test_l0_one_dimensional_examples_with_two_weights(signal: int, outputs: int) -> None:
    """(0,0,0,1,2,3,4,4,4,4) ⊛ (−1,1) and (0,0,1,1,0,0.1,0.2,1,1,1,0) ⊛ (1,1), by length."""
    assert row([1, signal], conv(1, 2, bias=False)).output_shape == (1, outputs)


def test_l0_functional_convolution_of_a_batch_of_128() -> None:
    summary = cnncalc.analyze(network([3, 20, 20], conv(5, 5)), batch_size=128)
    layer = summary.layers[0]

    assert (summary.batch_size, *layer.output_shape) == (128, 5, 16, 16)
    assert layer.weights["weight"] == (5, 3, 5, 5)
    assert layer.activation_bytes == 4 * 128 * 5 * 16 * 16


def test_l0_a_kernel_of_2_by_3() -> None:
    layer = row([3, 28, 28], conv(5, [2, 3]))

    assert layer.layer == "nn.Conv2d(3, 5, kernel_size=(2, 3))"
    assert layer.output_shape == (5, 27, 26)
    assert layer.weights == {"weight": (5, 3, 2, 3), "bias": (5,)}


@pytest.mark.parametrize(
    ("options", "size"), [({}, 5), ({"padding": 1}, 7), ({"stride": 2}, 3)], ids=str
)
def test_l2_a_3x3_filter_on_7x7(options: dict[str, int], size: int) -> None:
    assert row([1, 7, 7], conv(1, 3, **options)).output_shape == (1, size, size)


@pytest.mark.parametrize(
    ("size", "options", "output"),
    [(6, {}, 4), (6, {"padding": 1}, 6), (7, {"stride": 2}, 3)],
    ids=["plain", "padded", "strided"],
)
def test_l3_a_3x3_filter_on_a_small_image(size: int, options: dict[str, int], output: int) -> None:
    assert row([1, size, size], conv(1, 3, **options)).output_shape == (1, output, output)


def test_l3_max_pool_of_a_6x6_image() -> None:
    layer = row([1, 6, 6], pool(2, stride=2))

    assert layer.output_shape == (1, 3, 3)
    assert layer.layer == "nn.MaxPool2d(kernel_size=2, stride=2)"


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 8))
def test_l3_f_filters_give_f_activation_maps(n: int, filters: int, f: int) -> None:
    layer = row([n, 8, 8], conv(filters, f))

    assert layer.output_shape[0] == filters
    assert layer.weights["weight"] == (filters, n, f, f)
