"""Dumoulin & Visin, "A guide to convolution arithmetic for deep learning": figures and rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.published import reference

import cnncalc

GUIDE = reference("conv_arithmetic")
KINDS = {
    "conv": "conv",
    "conv_transpose": "conv_transpose",
    "avgpool": "avg_pool",
    "maxpool": "max_pool",
}
CASES = [pytest.param(*row[1:9], id=row[0]) for row in GUIDE["rows"]]
EQUIVALENT = [pytest.param(*row[2:6], *row[7:], id=row[0]) for row in GUIDE["rows"] if row[9:]]

SIZES = st.integers(1, 40)
KERNELS = st.integers(1, 11)
STRIDES = st.integers(1, 7)
PADDINGS = st.integers(0, 8)


def rows_of(size: int, *layers: dict[str, Any]) -> tuple[cnncalc.LayerSummary, ...]:
    return cnncalc.analyze({"input": [1, size, size], "layers": [*layers]}).layers


def output(size: int, *layers: dict[str, Any]) -> int:
    """Length of both axes after `layers` on a square of `size`; 0 where nothing fits."""
    try:
        rows = rows_of(size, *layers)
    except cnncalc.SpecError:
        return 0
    _, height, width = rows[-1].output_shape
    assert height == width
    assert all(int(side) == height for side in rows[-1].formulas.output_shape[1:])
    return height


def layer(kind: str, k: int, s: int = 1, p: int = 0, d: int = 1, a: int = 0) -> dict[str, Any]:
    fields: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p}
    if "conv" in kind:
        fields["out_channels"] = 1
    if d > 1:
        fields["dilation"] = d
    if a:
        fields["output_padding"] = a
    return {kind: fields}


def conv(k: int, s: int = 1, p: int = 0, d: int = 1) -> dict[str, Any]:
    return layer("conv", k, s, p, d)


def transposed(k: int, s: int = 1, p: int = 0, a: int = 0) -> dict[str, Any]:
    return layer("conv_transpose", k, s, p, a=a)


@pytest.mark.parametrize(("kind", "i", "k", "s", "p", "d", "a", "o"), CASES)
def test_figure(kind: str, i: int, k: int, s: int, p: int, d: int, a: int, o: int) -> None:
    assert output(i, layer(KINDS[kind], k, s, p, d, a)) == o


@pytest.mark.parametrize(("i", "k", "s", "p", "a", "o", "facts"), EQUIVALENT)
def test_transposed_convolution_is_a_direct_one_on_a_stretched_input(
    i: int, k: int, s: int, p: int, a: int, o: int, facts: dict[str, int]
) -> None:
    """Section 4: s − 1 zeros between the units, k − p − 1 around, a more at the end."""
    stretched = i + (s - 1) * (i - 1)
    ring = k - p - 1
    assert facts == {key: {"i": i, "k": k, "s": 1, "p": ring, "stretched_i": stretched}[key]
                     for key in facts}  # fmt: skip
    padded = {"pad": {"padding": [[ring, ring + a]] * 2}}
    assert output(stretched, padded, conv(k)) == o
    assert output(i, transposed(k, s, p, a)) == o

    direct, adjoint = rows_of(stretched, padded, conv(k))[1], rows_of(i, transposed(k, s, p, a))[0]
    assert direct.parameters == adjoint.parameters == k * k + 1
    assert adjoint.multiply_adds == i * i * k * k, "zeros are not multiplied"


@pytest.mark.parametrize(("i", "k", "s", "p", "a", "o", "facts"), EQUIVALENT)
def test_transposed_convolution_undoes_the_shape_of_the_direct_one(
    i: int, k: int, s: int, p: int, a: int, o: int, facts: dict[str, int]
) -> None:
    """Each transposed figure swaps the sizes of the direct figure of its name."""
    assert output(o, conv(k, s, p)) == i
    assert (o + 2 * p - k) % s == a


@given(i=SIZES, k=KERNELS)
def test_relationships_1_and_8_no_padding_unit_strides(i: int, k: int) -> None:
    assert output(i, conv(k)) == max(i - k + 1, 0)
    assert output(i, transposed(k)) == i + (k - 1)


@given(i=SIZES, k=KERNELS, p=PADDINGS)
def test_relationships_2_and_9_padding_unit_strides(i: int, k: int, p: int) -> None:
    assert output(i, conv(k, p=p)) == max(i - k + 2 * p + 1, 0)
    assert output(i, transposed(k, p=p)) == max(i + (k - 1) - 2 * p, 0)


@given(i=SIZES, n=st.integers(0, 5))
def test_relationship_3_half_padding(i: int, n: int) -> None:
    k = 2 * n + 1
    assert output(i, conv(k, p=n)) == i
    assert output(i, {"conv": {"out_channels": 1, "kernel_size": k, "padding": "same"}}) == i


@given(i=SIZES, k=KERNELS)
def test_relationship_4_full_padding(i: int, k: int) -> None:
    assert output(i, conv(k, p=k - 1)) == i + (k - 1)


@given(i=SIZES, k=KERNELS, s=STRIDES)
def test_relationship_5_no_padding_strides(i: int, k: int, s: int) -> None:
    assert output(i, conv(k, s)) == max((i - k) // s + 1, 0)


@given(i=SIZES, k=KERNELS, s=STRIDES, p=PADDINGS)
def test_relationship_6_padding_strides(i: int, k: int, s: int, p: int) -> None:
    assert output(i, conv(k, s, p)) == max((i + 2 * p - k) // s + 1, 0)


@given(i=SIZES, k=KERNELS, s=STRIDES, kind=st.sampled_from(["max_pool", "avg_pool"]))
def test_relationship_7_pooling(i: int, k: int, s: int, kind: str) -> None:
    assert output(i, layer(kind, k, s)) == max((i - k) // s + 1, 0)


@given(i=SIZES, k=KERNELS, s=STRIDES)
def test_relationship_12_transposed_no_padding(i: int, k: int, s: int) -> None:
    assert output(i, transposed(k, s)) == s * (i - 1) + k


@given(i=SIZES, k=KERNELS, s=STRIDES, p=PADDINGS)
def test_relationship_13_transposed_padding(i: int, k: int, s: int, p: int) -> None:
    assert output(i, transposed(k, s, p)) == max(s * (i - 1) + k - 2 * p, 0)


@given(i=SIZES, k=KERNELS, s=STRIDES, p=PADDINGS)
def test_relationship_14_transposed_with_what_the_stride_left_over(
    i: int, k: int, s: int, p: int
) -> None:
    o = output(i, conv(k, s, p))
    if o:
        a = (i + 2 * p - k) % s
        assert output(o, transposed(k, s, p, a)) == s * (o - 1) + a + k - 2 * p == i


@given(i=SIZES, k=KERNELS, s=STRIDES, p=PADDINGS, d=st.integers(1, 4))
def test_relationship_15_dilation(i: int, k: int, s: int, p: int, d: int) -> None:
    wide = k + (k - 1) * (d - 1)
    size = output(i, conv(k, s, p, d))
    assert size == max((i + 2 * p - k - (k - 1) * (d - 1)) // s + 1, 0)
    assert size == output(i, conv(wide, s, p)), "dilation adds reach"
    if size:
        dilated, widened = rows_of(i, conv(k, s, p, d))[0], rows_of(i, conv(wide, s, p))[0]
        assert dilated.receptive_field == widened.receptive_field
        assert dilated.parameters == k * k + 1, "… and no weights"


@given(
    i=st.integers(1, 12),
    k=st.integers(1, 5),
    s=st.integers(1, 4),
    p=st.integers(0, 3),
)
def test_transposed_convolution_sees_the_columns_of_the_convolution_matrix(
    i: int, k: int, s: int, p: int
) -> None:
    """Section 4.1: C maps i units to o; its transpose maps o to i, by the columns of C."""
    o = output(i, conv(k, s, p))
    if not o:
        return
    a = (i + 2 * p - k) % s
    columns = [[row for row in range(o) if 0 <= unit + p - row * s < k] for unit in range(i)]
    row = rows_of(o, transposed(k, s, p, a))[0]
    widest = max((column[-1] - column[0] + 1 for column in columns if column), default=0)
    assert row.receptive_field.size == (widest, widest)
    if columns[0]:
        assert row.receptive_field.start == (columns[0][0],) * 2
