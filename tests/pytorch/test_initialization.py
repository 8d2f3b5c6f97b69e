"""`init:` of a spec: the built module's weights start as the file says, and seeds repeat them."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
from support import conv, network

import cnncalc
from cnncalc.network.expansion import build_graph
from cnncalc.network.last_norms import last_norms

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

from torch import nn  # noqa: E402

DECONV = {"conv_transpose": {"out_channels": 48, "kernel_size": 3}}
LAYERS = [conv(64, 3), conv(96, 3, groups=2), DECONV, "flatten", {"linear": 200}]
FANS = {
    "conv1": (32 * 9, 64 * 9),
    "conv2": (64 / 2 * 9, 96 * 9),
    "conv_transpose1": (48 * 9, 96 * 9),  # torch.nn.init reads (in, out, k, k) as (out, in, k, k)
    "linear1": (48 * 8 * 8, 200),
}
"""Fan in and fan out of each weight, by the definition in the docs of torch.nn.init."""


def started(**init: Any) -> Any:
    """A module of every kind of weight, built from a seed."""
    return cnncalc.build(network([32, 10, 10], *LAYERS, init={"seed": 3, **init}))


def spread(weight: Any) -> tuple[float, float]:
    """Standard deviation, and the largest number."""
    return weight.std().item(), weight.abs().max().item()


def check_normal(weight: Any, std: float) -> None:
    measured, largest = spread(weight)
    assert measured == pytest.approx(std, rel=0.05)
    assert 3 * std < largest < 7 * std, "normal, not uniform"


def check_uniform(weight: Any, bound: float) -> None:
    measured, largest = spread(weight)
    assert measured == pytest.approx(bound / sqrt(3), rel=0.05)
    assert 0.99 * bound < largest <= bound


@pytest.mark.parametrize("name", FANS)
class TestSchemes:
    """Against the formulas in the docs of torch.nn.init."""

    @pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
    def test_kaiming(self, name: str, mode: str) -> None:
        fan = FANS[name][mode == "fan_out"]
        weight = started(weights="kaiming", mode=mode).get_submodule(name).weight
        check_normal(weight, sqrt(2 / fan))
        model = started(weights="kaiming", mode=mode, distribution="uniform")
        check_uniform(model.get_submodule(name).weight, sqrt(2) * sqrt(3 / fan))

    def test_xavier(self, name: str) -> None:
        fans = sum(FANS[name])
        check_normal(started(weights="xavier").get_submodule(name).weight, sqrt(2 / fans))
        model = started(weights="xavier", distribution="uniform")
        check_uniform(model.get_submodule(name).weight, sqrt(6 / fans))

    def test_trunc_normal(self, name: str) -> None:
        check_normal(started(weights="trunc_normal").get_submodule(name).weight, 0.02)
        measured, largest = spread(
            started(weights="trunc_normal", std=1).get_submodule(name).weight
        )
        assert measured == pytest.approx(0.8796, rel=0.02)  # of a normal cut at −2 and 2
        assert 1.95 < largest <= 2

    @pytest.mark.parametrize("scheme", ["kaiming", "xavier", "trunc_normal"])
    def test_biases_are_0(self, name: str, scheme: str) -> None:
        assert started(weights=scheme).get_submodule(name).bias.count_nonzero() == 0
        assert started().get_submodule(name).bias.count_nonzero() > 0


def test_the_scalar_is_the_scheme_and_its_defaults() -> None:
    def weight(init: Any) -> Any:
        return cnncalc.build(network([3, 8, 8], conv(4, 3), init=init), seed=1).conv1.weight

    assert torch.equal(weight("kaiming"), weight({"weights": "kaiming"}))
    fully = {"weights": "kaiming", "mode": "fan_in", "distribution": "normal"}
    assert torch.equal(weight("kaiming"), weight(fully))
    assert not torch.equal(weight("kaiming"), weight("xavier"))


def test_the_file_is_expressions_too() -> None:
    spec = network(
        [3, 8, 8],
        conv(4, 3),
        parameters={"scheme": "trunc_normal", "spread": 3},
        init={"weights": "=scheme", "std": "=spread/100", "seed": "=spread"},
    )
    init = build_graph(cnncalc.load(spec)).init
    assert (init.weights, init.options, init.seed) == ("trunc_normal", {"std": 0.03}, 3)


def test_without_a_scheme_pytorchs_own_start_stands() -> None:
    layers = [conv(8, 3), "batch_norm", "relu", "flatten", {"linear": 10}]
    for options in ({}, {"init": "default"}, {"init": {"zero_init_residual": True}}):
        torch.manual_seed(5)
        ours = cnncalc.build(network([3, 6, 6], *layers, **options))
        torch.manual_seed(5)
        theirs = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
        )
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_what_is_neither_convolution_nor_linear_keeps_its_own_start() -> None:
    layers = ["batch_norm", "prelu", {"layer_scale": {"init": 0.5}}, {"rbf": 3}]
    layers.insert(3, "flatten")
    before = cnncalc.build(network([3, 4, 4], *layers), seed=1).state_dict()
    after = cnncalc.build(network([3, 4, 4], *layers, init="xavier"), seed=1).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("axes", [1, 3])
def test_other_dimensions_and_same_padding(axes: int) -> None:
    layers = [conv(32, 3, stride=2, padding="same"), {"depthwise_conv": 3}]
    model = cnncalc.build(network([24] + [9] * axes, *layers, init={"weights": "kaiming"}), seed=0)
    measured = model.conv1.weight.std().item()
    assert measured == pytest.approx(sqrt(2 / (24 * 3**axes)), rel=0.1)
    assert model.depthwise_conv1.bias.count_nonzero() == 0


class TestZeroInitResidual:
    @pytest.mark.parametrize("name", ["resnet18", "resnet50"])
    def test_resnets_start_where_torchvisions_do(self, name: str) -> None:
        theirs = getattr(torchvision.models, name)(zero_init_residual=True)
        init = {"zero_init_residual": True}
        ours = cnncalc.build(cnncalc.load(name).model_copy(update={"init": init}))
        matched = cnncalc.load_weights(cnncalc.build(name), theirs.state_dict()).matched

        def zeros(model: Any) -> set[str]:
            weights = dict(model.named_parameters())
            return {
                name
                for name, weight in weights.items()
                if name.endswith("weight") and weight.count_nonzero() == 0
            }

        assert {matched[name] for name in zeros(ours)} == zeros(theirs)
        assert len(zeros(theirs)) == {"resnet18": 8, "resnet50": 16}[name]

    def test_a_body_begins_as_nothing(self) -> None:
        body = ["batch_norm", "relu", conv(3, 3, padding=1, bias=False)]
        spec = network([3, 6, 6], {"residual": body}, init={"zero_init_residual": True})
        x = torch.randn(2, 3, 6, 6)
        assert torch.equal(cnncalc.build(spec)(x), x)
        assert not torch.equal(cnncalc.build({**spec, "init": {}})(x), x)

    def test_nested_shortcuts_and_norms_without_weights(self) -> None:
        plain = {"batch_norm": {"affine": False}}
        inner = {
            "body": ["batch_norm", plain],
            "shortcut": [{"name": "outside", "batch_norm": None}],
        }
        layers = [
            {"residual": ["batch_norm", {"residual": inner}, plain]},
            {"residual": [conv(3, 1)]},
            {"residual": {"body": [{"group_norm": 3}, {"local_response_norm": 3}]}},
        ]
        graph = build_graph(cnncalc.load(network([3, 6, 6], *layers)))
        assert last_norms(graph) == [
            "residual1.body.residual1.shortcut.outside",
            "residual1.body.residual1.body.batch_norm1",
            "residual3.body.group_norm1",
        ]

    def test_a_shared_norm_is_its_owners(self) -> None:
        body = [{"batch_norm": None, "shares": "first"}]
        layers = [{"name": "first", "batch_norm": None}, {"residual": body}]
        model = cnncalc.build(network([3, 6, 6], *layers, init={"zero_init_residual": True}))
        assert model.first.weight.count_nonzero() == 0
        assert model.residual1.body.batch_norm1.weight is model.first.weight


class TestSeeds:
    SPEC = network([3, 8, 8], conv(4, 3), "batch_norm", "flatten", {"rbf": 5})

    def weights(self, argument: int | None = None, **init: Any) -> Any:
        model = cnncalc.build({**self.SPEC, "init": init}, seed=argument)
        return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])

    @pytest.mark.parametrize("scheme", ["default", "kaiming", "xavier", "trunc_normal"])
    def test_they_repeat_the_weights(self, scheme: str) -> None:
        first = self.weights(weights=scheme, seed=7)
        torch.rand(3)
        assert torch.equal(self.weights(weights=scheme, seed=7), first)
        assert not torch.equal(self.weights(weights=scheme, seed=8), first)
        assert not torch.equal(self.weights(weights=scheme), self.weights(weights=scheme))

    def test_the_argument_wins_over_the_file(self) -> None:
        assert torch.equal(self.weights(2, seed=1), self.weights(seed=2))
        assert not torch.equal(self.weights(2, seed=1), self.weights(seed=1))

    def test_0_is_a_seed(self) -> None:
        assert torch.equal(self.weights(0), self.weights(seed=0))
        assert torch.equal(self.weights(0), self.weights(0))

    def test_random_numbers_elsewhere_go_on_as_before(self) -> None:
        torch.manual_seed(1)
        expected = torch.rand(4)
        torch.manual_seed(1)
        self.weights(weights="kaiming", seed=7)
        assert torch.equal(torch.rand(4), expected)
        state = torch.get_rng_state()
        with pytest.raises(cnncalc.SpecError):
            self.weights(weights="kaimng", seed=7)
        assert torch.equal(torch.get_rng_state(), state)

    def test_they_agree_with_pytorchs(self) -> None:
        torch.manual_seed(11)
        expected = nn.Conv2d(3, 4, 3).weight
        assert torch.equal(cnncalc.build(self.SPEC, seed=11).conv1.weight, expected)


def test_the_meta_device_stays_bare() -> None:
    init = {"weights": "trunc_normal", "zero_init_residual": True, "seed": 4}
    spec = network([3, 8, 8], conv(4, 3), {"residual": ["batch_norm"]}, init=init)
    for scheme in ("kaiming", "xavier", "trunc_normal"):
        with torch.device("meta"):
            model = cnncalc.build({**spec, "init": {**init, "weights": scheme}})
        assert all(tensor.is_meta for tensor in model.state_dict().values())
        assert len(model.state_dict()) == 7


def test_shared_weights_start_once_and_frozen_ones_too() -> None:
    first = {"name": "first", **conv(3, 3, padding=1), "frozen": True}
    second = {"name": "second", **conv(3, 3, padding=1)}
    init = {"weights": "kaiming", "seed": 5}
    apart = cnncalc.build(network([3, 8, 8], first, second, init=init))
    shared = cnncalc.build(network([3, 8, 8], first, {**second, "shares": "first"}, init=init))
    assert shared.second.weight is shared.first.weight
    assert torch.equal(shared.first.weight, apart.first.weight)
    assert not apart.first.weight.requires_grad
    assert apart.first.bias.count_nonzero() == 0
    assert not torch.equal(apart.first.weight, apart.second.weight)
