"""The built module is the table: shapes, parameters, buffers, multiply-adds and names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from support import by_tier, representatives
from support.places import SPECS

import cnncalc
from cnncalc.network.expansion import build_graph

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

NETWORKS = [
    *representatives(),
    *map(str, sorted(SPECS.glob("*.yaml"))),
]


QUICK = ("lenet", "squeezenet", "r3d_18", "waveform_m3", "vgg", "vgg_formula", "mobilenet_v1_0_25")


@pytest.fixture(params=by_tier(NETWORKS, *QUICK, name=lambda name: Path(name).stem))
def architecture(request: pytest.FixtureRequest) -> cnncalc.Architecture:
    architecture = cnncalc.load(request.param)
    try:
        build_graph(architecture)
    except cnncalc.SpecError as error:
        assert "has no value" in str(error)  # noqa: PT017 - a family without a default network
        pytest.skip("a family whose parameters its own tests set")
    return architecture


def test_the_module_is_the_table(architecture: cnncalc.Architecture) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    summary = cnncalc.analyze(architecture)
    with torch.device("meta"):
        model = cnncalc.build(architecture)
        x = torch.zeros(1, *summary.input_shape)
    shapes: dict[str, Any] = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda _, __, y, name=name: shapes.update({name: tuple(y.shape[1:])})
            )
    model.eval()
    with FlopCounterMode(display=False) as counter:
        y = model(x)
    assert tuple(y.shape[1:]) == summary.output_shape
    rows = {row.name: row for row in summary.layers}
    assert shapes == {name: rows[name].output_shape for name in shapes}
    joins = {name for name in rows if name not in shapes}
    assert {rows[name].kind for name in joins} <= {"add", "concat", "multiply"}
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    totals = summary.totals
    assert (learnt, frozen) == (totals.parameters, totals.frozen_parameters)
    assert sum(b.numel() for b in model.buffers()) == totals.buffers
    assert counter.get_total_flops() == 2 * totals.multiply_adds
    names = [f"{row.name}.{weight}" for row in summary.layers for weight in row.weights]
    assert [name for name, _ in model.named_parameters()] == names


def test_frozen_weights_do_not_train_and_shared_ones_are_one() -> None:
    conv = {"out_channels": 4, "kernel_size": 3, "padding": 1}
    layers = [
        {"conv": conv, "frozen": True},
        {"conv": conv},
        {"conv": conv, "shares": "conv2"},
        {"conv": {**conv, "out_channels": 2}},
    ]
    spec = {"input": [4, 8, 8], "layers": layers}
    model = cnncalc.build(spec)
    totals = cnncalc.analyze(spec).totals
    assert model.conv3.weight is model.conv2.weight
    assert not model.conv1.weight.requires_grad
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert learnt == totals.parameters
    assert sum(p.numel() for p in model.parameters()) - learnt == totals.frozen_parameters


class TestLoadWeights:
    def test_left_over_tensors_are_named_and_nothing_is_loaded(self) -> None:
        model = cnncalc.build("lenet")
        before = copy.deepcopy(model.state_dict())
        state = {k: torch.zeros_like(v) for k, v in before.items() if k != "linear2.bias"}
        with pytest.raises(cnncalc.UsageError, match=r"1 of the model: linear2.bias \(10,\)"):
            cnncalc.load_weights(model, state)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    def test_not_strict_says_what_is_left(self) -> None:
        model = cnncalc.build("lenet")
        loaded = cnncalc.load_weights(
            model, {"a": torch.ones(10), "b": torch.ones(3)}, strict=False
        )
        assert loaded.matched == {"linear2.bias": "a"}
        assert loaded.unexpected == ("b",)
        assert "conv1.weight" in loaded.missing
        assert torch.equal(model.linear2.bias, torch.ones(10))

    def test_map_overrides_the_order_and_trailing_ones_do_not_count(self) -> None:
        spec = {"input": [3, 4, 4], "layers": [{"channel_affine": {"bias": False}}] * 2}
        model = cnncalc.build(spec)
        state = {"first": torch.full((3, 1, 1), 2.0), "second": torch.full((3, 1, 1), 5.0)}
        cnncalc.load_weights(model, state, map={"channel_affine1.weight": "second"})
        assert model.channel_affine1.weight.tolist() == [5.0] * 3
        assert model.channel_affine2.weight.tolist() == [2.0] * 3

    def test_a_state_of_our_own_is_matched_by_name_in_any_order(self) -> None:
        square = {"conv": {"out_channels": 3, "kernel_size": 3, "padding": 1}}
        spec = {"input": [3, 4, 4], "layers": [square, "batch_norm", square, "batch_norm"]}
        saved = cnncalc.build(spec, seed=1).state_dict()
        backwards = {name: saved[name] for name in reversed(saved)}
        backwards["batch_norm1.weight"] = saved["batch_norm1.weight"].reshape(3, 1, 1) + 1
        model = cnncalc.build(spec, seed=2)
        loaded = cnncalc.load_weights(model, backwards)
        assert loaded.matched == {name: name for name in saved}
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor.flatten(), backwards[name].flatten())

    def test_names_of_our_own_with_other_shapes_are_matched_by_shape(self) -> None:
        layers = [{"linear": 2}, {"linear": 3}]
        model = cnncalc.build({"input": [5], "layers": layers})
        names = ["linear2.weight", "linear2.bias", "linear1.weight", "linear1.bias"]
        sizes = [(2, 5), (2,), (3, 2), (3,)]
        state = {name: torch.rand(size) for name, size in zip(names, sizes, strict=True)}
        loaded = cnncalc.load_weights(model, state)
        assert loaded.matched["linear1.weight"] == "linear2.weight"

    def test_map_overrides_names_of_a_layer(self) -> None:
        layers = [{"conv": {"out_channels": 3, "kernel_size": 1}}] * 2
        model = cnncalc.build({"input": [3, 2, 2], "layers": layers}, seed=0)
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        loaded = cnncalc.load_weights(model, state, map={"conv1.weight": "conv2.weight"})
        assert loaded.matched == {
            "conv1.weight": "conv2.weight",
            "conv1.bias": "conv2.bias",
            "conv2.weight": "conv1.weight",
            "conv2.bias": "conv1.bias",
        }
        assert torch.equal(model.conv2.weight, state["conv1.weight"])

    def test_what_a_tensor_is_for_goes_before_its_place(self) -> None:
        """As ConvNeXt's, whose scales come before the other weights of a unit."""
        model = cnncalc.build({"input": [3, 4, 4], "layers": ["batch_norm", "layer_scale"]})
        names = ("layer_scale", "norm.running_var", "norm.bias", "norm.weight", "norm.running_mean")
        state = {name: torch.full((3,), float(place)) for place, name in enumerate(names, 2)}
        state["layer_scale"] = state["layer_scale"].reshape(3, 1, 1)
        loaded = cnncalc.load_weights(model, state, strict=False)
        assert loaded.matched == {
            **{f"batch_norm1.{name.removeprefix('norm.')}": name for name in names[1:]},
            "layer_scale1.weight": "layer_scale",
        }
        assert model.layer_scale1.weight.tolist() == [2.0] * 3

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a.weight"], "does not follow from their names; a square"),
            (
                ["a.weight", "b.weight"],
                r"a.weight and b.weight, both \(3, 3\), could change places",
            ),
            (["a.weight", "b.weight", "head.weight"], "does not follow from their names; a square"),
            (["a.weight", "b"], "does not follow from their names; a square"),  # perhaps x @ b
            (["0", "1"], "does not follow from their names; a square"),
        ],
    )
    def test_what_may_be_paired_wrongly_is_left(self, names: list[str], message: str) -> None:
        layers = [{"linear": {"out_features": 3, "bias": False}}] * 2
        model = cnncalc.build({"input": [3], "layers": layers})
        state = {name: torch.rand(3, 3) for name in names}
        assert cnncalc.load_weights(model, state, strict=False).matched == {}
        with pytest.raises(cnncalc.UsageError, match=message):
            cnncalc.load_weights(model, state)

    def test_order_is_taken_on_ones_word_and_told(self) -> None:
        layers = [{"linear": {"out_features": 3, "bias": False}}] * 2
        model = cnncalc.build({"input": [3], "layers": layers})
        state = {"a.weight": torch.rand(3, 3), "b.weight": torch.rand(3, 3)}
        loaded = cnncalc.load_weights(model, state, in_order=True)
        assert loaded.matched == {"linear1.weight": "a.weight", "linear2.weight": "b.weight"}
        assert loaded.ordered == loaded.matched

    @pytest.mark.parametrize(
        ("chosen", "message"),
        [
            ({"conv9.weight": "a"}, "the model has no tensor 'conv9.weight'"),
            ({"conv1.bias": "b"}, "the state dict has no tensor 'b'"),
            ({"conv1.bias": "a"}, r"conv1.bias and a differ in shape: \(32,\) and \(10,\)"),
        ],
    )
    def test_a_wrong_map_is_refused(self, chosen: dict[str, str], message: str) -> None:
        with pytest.raises(cnncalc.UsageError, match=message):
            cnncalc.load_weights(cnncalc.build("lenet"), {"a": torch.ones(10)}, map=chosen)


def column(values: list[float]) -> Any:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, -1)


@pytest.mark.parametrize(
    ("signal", "kernel", "result"),
    [
        ([0, 0, 0, 1, 2, 3, 4, 4, 4, 4], [-1, 1], [0, 0, 1, 1, 1, 1, 0, 0, 0]),
        (
            [0, 0, 1, 1, 0, 0.1, 0.2, 1, 1, 1, 0],
            [1, 1],
            [0, 1, 2, 1, 0.1, 0.3, 1.2, 2, 2, 1],
        ),
    ],
)
def test_one_dimensional_convolutions_of_l0(
    signal: list[float], kernel: list[float], result: list[float]
) -> None:
    """L0: a derivative, and a sum of neighbours."""
    conv = {"out_channels": 1, "kernel_size": 2, "bias": False}
    model = cnncalc.build({"input": [1, len(signal)], "layers": [{"conv": conv}]})
    cnncalc.load_weights(model, {"weight": column(kernel)})
    torch.testing.assert_close(model(column(signal)), column(result))


IMAGE_6 = ["323331", "013312", "220020", "301330", "232001", "222310"]
IMAGE_7 = ["3233312", "0133121", "2200200", "3013303", "2320011", "2223101", "0211331"]
CASES_L3 = {
    "6×6, valid": (IMAGE_6, {}, "6 5 7 5/6 10 13 7/11 5 2 4/8 11 10 7"),
    "6×6, padded by 1": (
        IMAGE_6,
        {"padding": 1},
        "2 7 10 8 8 3/9 6 5 7 5 3/3 6 10 13 7 5/10 11 5 2 4 1/9 8 11 10 7 1/2 3 2 0 0 1",
    ),
    "7×7, stride 2": (IMAGE_7, {"stride": 2}, "6 7 3/11 2 3/7 8 9"),
}


def matrix(rows: list[str]) -> Any:
    return torch.tensor([[float(digit) for digit in row] for row in rows])[None, None]


@pytest.mark.parametrize("case", CASES_L3)
def test_convolutions_of_l3(case: str) -> None:
    rows, options, result = CASES_L3[case]
    conv = {"out_channels": 1, "kernel_size": 3, "bias": False, **options}
    model = cnncalc.build({"input": [1, len(rows), len(rows)], "layers": [{"conv": conv}]})
    cnncalc.load_weights(model, {"weight": matrix(["010", "000", "112"])})
    expected = torch.tensor([[float(n) for n in row.split()] for row in result.split("/")])
    assert torch.equal(model(matrix(rows))[0, 0], expected)


def test_max_pool_of_l3() -> None:
    model = cnncalc.build({"input": [1, 6, 6], "layers": [{"max_pool": 2}]})
    image = matrix(["330111", "721152", "791056", "561032", "970000", "470001"])
    assert torch.equal(model(image), matrix(["715", "916", "901"]))


def test_its_code_bears_the_names_of_joins() -> None:
    with torch.device("meta"):
        model = cnncalc.build("googlenet")
    assert "inception3a_concat1 = torch.cat(" in model.code
    rows = [node.meta["row"] for node in model.graph.nodes if "row" in node.meta]
    assert rows == [*range(len(cnncalc.analyze("googlenet").layers))]
