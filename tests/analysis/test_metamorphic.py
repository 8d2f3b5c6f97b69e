"""Pairs of layers that must agree: what one way of computing counts, the other counts too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import conv, figures, row, summarize

import cnncalc

kernels = st.integers(1, 7)
strides = st.integers(1, 4)
sizes = st.integers(12, 40)


def test_two_3x3_convolutions_see_what_one_5x5_sees() -> None:
    two = row([1, 20, 20], conv(1, 3), conv(1, 3))
    one = row([1, 20, 20], conv(1, 5))

    assert two.receptive_field == one.receptive_field == ((5, 5), (1, 1), (0, 0))
    assert two.output_shape == one.output_shape


@given(st.integers(1, 5), kernels, st.booleans())
def test_a_chain_of_convolutions_sees_what_one_large_one_sees(
    depth: int, kernel: int, padded: bool
) -> None:
    ring = kernel // 2 if padded else 0
    chain = row([2, 40, 41], *[conv(2, kernel, padding=ring)] * depth)
    one = row([2, 40, 41], conv(2, 1 + depth * (kernel - 1), padding=depth * ring))

    assert chain.receptive_field == one.receptive_field
    assert chain.output_shape == one.output_shape


@given(sizes, kernels, strides, kernels, strides)
def test_two_strided_windows_see_what_one_window_sees(
    size: int, first: int, stride: int, second: int, next_stride: int
) -> None:
    assume((size - first) // stride + 1 >= second)
    two = row(
        [1, size, size],
        conv(1, first, stride=stride),
        {"max_pool": {"kernel_size": second, "stride": next_stride}},
    )
    one = row([1, size, size], conv(1, first + (second - 1) * stride, stride=stride * next_stride))

    assert two.receptive_field == one.receptive_field
    assert two.output_shape == one.output_shape


@given(sizes, kernels, strides, st.integers(1, 3), st.integers(0, 3))
def test_dilation_sees_what_a_larger_kernel_sees_with_the_weights_of_the_small_one(
    size: int, kernel: int, stride: int, dilation: int, padding: int
) -> None:
    extent = dilation * (kernel - 1) + 1
    assume(extent <= size + 2 * padding)
    options = {"stride": stride, "padding": padding}
    dilated = row([2, size, size], conv(3, kernel, dilation=dilation, **options))

    large = row([2, size, size], conv(3, extent, **options))
    assert dilated.output_shape == large.output_shape
    assert dilated.receptive_field == large.receptive_field
    assert dilated.weights == row([2, size, size], conv(3, kernel, padding=3)).weights


@given(st.integers(1, 6), kernels, strides, st.integers(1, 3), st.booleans())
def test_as_many_groups_as_channels_are_a_depthwise_convolution(
    channels: int, kernel: int, stride: int, multiplier: int, bias: bool
) -> None:
    options = {"stride": stride, "padding": kernel // 2, "bias": bias}
    grouped = row(
        [channels, 16, 15], conv(channels * multiplier, kernel, groups=channels, **options)
    )
    options |= {"kernel_size": kernel, "depth_multiplier": multiplier}
    depthwise = row([channels, 16, 15], {"depthwise_conv": options})

    assert figures(grouped) == figures(depthwise)
    assert grouped.layer == depthwise.layer


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_a_grouped_convolution_is_a_concat_of_convolutions_of_slices(
    groups: int, width: int, out: int
) -> None:
    shape = [groups * width, 9, 9]
    one = row(shape, conv(groups * out, 3, groups=groups))
    assume(groups > 1)
    slices = [
        [{"slice": {"start": part * width, "stop": (part + 1) * width}}, conv(out, 3)]
        for part in range(groups)
    ]
    apart = summarize(shape, {"concat": slices})

    assert apart.output_shape == one.output_shape
    assert apart.totals.parameters == one.parameters
    assert apart.totals.multiply_adds == one.multiply_adds
    assert apart.totals.flops == one.flops
    assert apart.totals.receptive_field == one.receptive_field


@pytest.mark.parametrize("kind", ["conv", "max_pool", "avg_pool"])
@given(sizes, st.integers(0, 3), st.integers(1, 3))
def test_same_padding_of_stride_1_is_the_padding_of_l2(
    kind: str, size: int, half: int, dilation: int
) -> None:
    options: dict[str, Any] = {"kernel_size": 2 * half + 1, "stride": 1}
    options |= {"out_channels": 4} if kind == "conv" else {}
    dilation = 1 if kind != "conv" else dilation
    options |= {"dilation": dilation} if dilation > 1 else {}
    same = row([3, size, size + 1], {kind: {**options, "padding": "same"}})
    explicit = row([3, size, size + 1], {kind: {**options, "padding": half * dilation}})

    assert figures(same) == figures(explicit)
    assert same.output_shape[1:] == (size, size + 1)


@given(sizes, kernels, strides)
def test_same_padding_of_any_stride_is_a_ring_with_its_odd_unit_after(
    size: int, kernel: int, stride: int
) -> None:
    ring = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    same = row([1, size], conv(1, kernel, stride=stride, padding="same"))
    padded = row(
        [1, size],
        {"pad": {"padding": [[ring // 2, ring - ring // 2]]}},
        conv(1, kernel, stride=stride),
    )

    assert same.output_shape == padded.output_shape == (1, -(-size // stride))
    assert same.receptive_field == padded.receptive_field


@given(sizes, kernels, strides, st.integers(0, 3))
def test_padding_is_a_pad_layer_before_the_convolution(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    inside = row([2, size, size], conv(3, kernel, stride=stride, padding=padding))
    before = row([2, size, size], {"pad": padding}, conv(3, kernel, stride=stride))

    assert figures(inside, "input_shapes") == figures(before, "input_shapes")


@given(sizes, kernels, strides, st.integers(0, 3))
def test_a_transposed_convolution_undoes_the_size_of_a_convolution(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    assume(size + 2 * padding >= kernel and padding < kernel)
    output_padding = (size + 2 * padding - kernel) % stride
    options = {"out_channels": 2, "kernel_size": kernel, "stride": stride, "padding": padding}
    back = row(
        [2, size, size],
        {"conv": options},
        {"conv_transpose": {**options, "output_padding": output_padding}},
    )

    assert back.output_shape == (2, size, size)


def test_padding_and_cropping_undo_each_other() -> None:
    undone = row([2, 9, 7], {"pad": 3}, {"crop": 3})

    assert undone.output_shape == (2, 9, 7)
    assert undone.receptive_field == row([2, 9, 7], "identity").receptive_field


def test_the_stride_of_a_pool_is_its_kernel() -> None:
    assert row([2, 9, 9], {"max_pool": 3}).output_shape == (2, 3, 3)
    assert figures(row([2, 9, 9], {"max_pool": 3})) == figures(
        row([2, 9, 9], {"max_pool": {"kernel_size": 3, "stride": 3}})
    )


def test_a_global_pool_is_a_pool_of_the_whole_axis() -> None:
    whole = row([4, 7, 7], "global_avg_pool")

    assert figures(whole) == figures(row([4, 7, 7], {"adaptive_avg_pool": 1}))
    windowed = row([4, 7, 7], {"avg_pool": 7})
    assert (whole.output_shape, whole.flops) == (windowed.output_shape, windowed.flops)
    assert whole.receptive_field.size == windowed.receptive_field.size == (7, 7)


def test_a_slice_is_a_selection() -> None:
    assert figures(row([6, 5, 5], {"slice": {"start": 1, "stop": 4}})) == figures(
        row([6, 5, 5], {"select": [1, 2, 3]})
    )


@given(sizes, kernels, strides, st.integers(0, 3))
def test_turning_the_image_turns_every_figure(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    assume(size + 2 * padding >= kernel)
    tall = row([2, size, 12], conv(3, [kernel, 3], stride=[stride, 1], padding=[padding, 0]))
    wide = row([2, 12, size], conv(3, [3, kernel], stride=[1, stride], padding=[0, padding]))

    assert tall.output_shape == (3, *reversed(wide.output_shape[1:]))
    assert [axes[::-1] for axes in tall.receptive_field] == [*wide.receptive_field]
    assert (tall.parameters, tall.multiply_adds) == (wide.parameters, wide.multiply_adds)


@given(sizes, kernels, strides)
def test_one_axis_counts_like_two_of_which_one_is_thin(size: int, kernel: int, stride: int) -> None:
    line = row([2, size], conv(3, kernel, stride=stride))
    thin = row([2, size, 1], conv(3, [kernel, 1], stride=[stride, 1]))

    assert (*line.output_shape, 1) == thin.output_shape
    assert (line.parameters, line.multiply_adds, line.flops) == (
        thin.parameters,
        thin.multiply_adds,
        thin.flops,
    )
    assert line.receptive_field.size == thin.receptive_field.size[:1]


@given(st.integers(2, 64))
def test_a_batch_multiplies_the_work_and_not_the_weights(batch_size: int) -> None:
    network = cnncalc.load("lenet")
    one, many = cnncalc.analyze(network), cnncalc.analyze(network, batch_size=batch_size)

    assert many.totals.multiply_adds == batch_size * one.totals.multiply_adds
    assert many.totals.flops == batch_size * one.totals.flops
    assert many.totals.activation_bytes == batch_size * one.totals.activation_bytes
    assert many.totals.parameters == one.totals.parameters
    assert many.totals.weight_bytes == one.totals.weight_bytes


def test_half_the_precision_is_half_the_bytes() -> None:
    single = cnncalc.analyze("lenet").totals
    half = cnncalc.analyze("lenet", dtype="float16").totals

    assert 2 * half.weight_bytes == single.weight_bytes == 422_024
    assert 2 * half.activation_bytes == single.activation_bytes
