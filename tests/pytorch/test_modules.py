"""The modules that torch.nn lacks, against what torch.nn has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

torch = pytest.importorskip("torch", reason="the modules are PyTorch's")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from cnncalc.pytorch.modules import namespace, same_ring  # noqa: E402

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)
ODD = st.sampled_from([1, 3, 5])


def images(sizes: list[int]) -> Any:
    return torch.rand(2, 3, *sizes)


@given(
    size=st.integers(1, 40), kernel=st.integers(1, 7), stride=st.integers(1, 5), d=st.integers(1, 3)
)
def test_same_ring_gives_the_size_that_tensorflow_documents(
    size: int, kernel: int, stride: int, d: int
) -> None:
    before, after = same_ring([size], kernel, stride, d)
    extent = d * (kernel - 1) + 1
    assert 0 <= before <= after <= before + 1
    places = range(-before, size + after - extent + 1, stride)
    assert len(places) == -(-size // stride)
    if before + after:
        assert places[-1] + extent == size + after, "no unit of the ring is spare"


@settings(max_examples=examples(30))
@given(sizes=SIZES, kernel=ODD)
def test_same_windows_of_stride_1_are_torchs(sizes: list[int], kernel: int) -> None:
    """For odd windows the ring is even, and PyTorch can say it by itself."""
    axes, x, half = len(sizes), images(sizes), kernel // 2
    conv = getattr(namespace, f"SameConv{axes}d")(3, 4, kernel_size=kernel)
    reference = getattr(nn, f"Conv{axes}d")(3, 4, kernel, padding="same")
    reference.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv(x), reference(x))
    for name in ("MaxPool", "AvgPool"):
        if name == "AvgPool" and axes == 3 and min(sizes) < kernel:
            continue  # AvgPool3d refuses it
        pool = getattr(namespace, f"Same{name}{axes}d")(kernel_size=kernel, stride=1)
        padded = getattr(nn, f"{name}{axes}d")(kernel, 1, half)
        torch.testing.assert_close(pool(x), padded(x))
        if name == "AvgPool":
            pool = type(pool)(kernel_size=kernel, stride=1, count_include_pad=False)
            padded = type(padded)(kernel, 1, half, count_include_pad=False)
            torch.testing.assert_close(pool(x), padded(x))


@settings(max_examples=examples(30))
@given(
    sizes=SIZES,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    mode=st.sampled_from(["zeros", "replicate"]),
)
def test_same_windows_pad_by_the_ring(
    sizes: list[int], kernel: int, stride: int, mode: str
) -> None:
    axes, x = len(sizes), images(sizes)
    ring = same_ring(sizes, kernel, stride)
    conv = getattr(namespace, f"SameConv{axes}d")(
        3, 4, kernel_size=kernel, stride=stride, padding_mode=mode
    )
    reference = getattr(nn, f"Conv{axes}d")(3, 4, kernel, stride)
    reference.load_state_dict(conv.state_dict())
    torch_mode = "constant" if mode == "zeros" else mode
    torch.testing.assert_close(conv(x), reference(F.pad(x, ring, torch_mode)))
    pool = getattr(namespace, f"SameMaxPool{axes}d")(kernel_size=kernel, stride=stride)
    padded = F.pad(x, ring, value=-1.0)  # below every number of the image
    torch.testing.assert_close(pool(x), getattr(nn, f"MaxPool{axes}d")(kernel, stride)(padded))
    pool = getattr(namespace, f"SameAvgPool{axes}d")(kernel_size=kernel, stride=stride)
    average = getattr(nn, f"AvgPool{axes}d")(kernel, stride)
    torch.testing.assert_close(pool(x), average(F.pad(x, ring)))


def test_same_average_divides_by_what_it_is_told() -> None:
    ones = torch.ones(1, 1, 3, 3)
    pool = namespace.SameAvgPool2d(kernel_size=2, stride=2, divisor_override=8)
    assert pool(ones).flatten().tolist() == [4 / 8, 2 / 8, 2 / 8, 1 / 8]
    pool = namespace.SameAvgPool2d(kernel_size=2, stride=2, count_include_pad=False)
    assert pool(ones).flatten().tolist() == [1.0] * 4


@settings(max_examples=examples(20))
@given(sizes=SIZES)
def test_channel_layer_norm_is_a_layer_norm_of_channels_last(sizes: list[int]) -> None:
    x = images(sizes)
    norm, reference = namespace.ChannelLayerNorm(3), nn.LayerNorm(3)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    reference.load_state_dict(norm.state_dict())
    places = x.flatten(2).transpose(1, 2)
    expected = reference(places).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(norm(x), expected)


def test_rbf_is_the_squared_distance_to_its_codes() -> None:
    rbf, x = namespace.RBF(84, 10), torch.rand(5, 84)
    assert {*rbf.codes.unique().tolist()} == {-1.0, 1.0}
    torch.testing.assert_close(rbf(x), torch.cdist(x, rbf.codes) ** 2)
    assert [*rbf.parameters()] == []


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean(mode: str) -> None:
    torch.manual_seed(0)
    drop, x = namespace.StochasticDepth(0.25, mode), torch.ones(64, 2, 2)
    assert drop.eval()(x) is x
    drop.train()
    outputs = torch.stack([drop(x) for _ in range(200)])
    samples = outputs.flatten(2)
    assert (samples == samples[..., :1]).all(), "a sample is dropped or kept as a whole"
    assert {round(value, 3) for value in outputs.unique().tolist()} == {0.0, round(1 / 0.75, 3)}
    assert (samples[..., 0].std(dim=1) > 0).any() == (mode == "row")
    assert outputs.mean().item() == pytest.approx(1, abs=0.15)
    assert namespace.StochasticDepth(1.0)(x).count_nonzero() == 0


def test_channels_are_scaled_chosen_and_cut() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(namespace.Slice(1, None)(x), x[:, 1:])
    assert torch.equal(namespace.Select((2, 0))(x), torch.stack([x[:, 2], x[:, 0]], dim=1))
    assert torch.equal(namespace.Crop(((1, 0), (0, 2)))(x), x[:, :, 1:, :-2])
    torch.testing.assert_close(namespace.LayerScale(3, 2, init=0.5)(x), x / 2)
    affine = namespace.ChannelAffine(3, 2)
    affine.weight.data = torch.tensor([1.0, 2.0, 3.0])
    affine.bias.data = torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(affine(x)[:, 1:], torch.stack([2 * x[:, 1], 3 * x[:, 2] + 1], 1))


def test_joins_and_shapes() -> None:
    x, y = torch.rand(2, 3, 4), torch.rand(2, 3, 1)
    torch.testing.assert_close(namespace.Add()(x, x, x), 3 * x)
    torch.testing.assert_close(namespace.Multiply()(x, y), x * y)
    assert torch.equal(namespace.Concat()(x, x)[:, 3:], x)
    assert torch.equal(namespace.Permute(0, 2, 1)(x), x.transpose(1, 2))
    assert namespace.Reshape(2, -1)(x).shape == (2, 2, 6)
