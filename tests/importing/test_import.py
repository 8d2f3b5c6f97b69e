"""Networks imported from PyTorch: figures, names, structure and outputs are the original's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import by_tier

import cnncalc
from cnncalc.importing.import_network import Imported, imported
from cnncalc.spec.text import Source
from cnncalc.spec.yaml import parse

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from cnncalc.importing.from_torch.program import read_program  # noqa: E402
from cnncalc.importing.from_torch.tracing import trace  # noqa: E402

if TYPE_CHECKING:
    from cnncalc import Summary

PUBLISHED = {
    "alexnet": (61_100_840, 714_188_480),
    "convnext_tiny": (28_589_128, 4_455_531_264),
    "efficientnet_b0": (5_288_548, 385_814_752),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
    "regnet_y_400mf": (4_344_144, 401_842_848),
    "resnet18": (11_689_512, 1_814_073_344),
    "shufflenet_v2_x0_5": (1_366_792, 40_476_448),
    "squeezenet1_1": (1_235_496, 349_151_936),
}
"""Parameters as torchvision publishes them, multiply-adds as FlopCounterMode counts them."""
LARGE = {"inception_v3": (27_161_264 - 3_326_696, 5_713_216_096)}
"""Its published parameters include its auxiliary head, which evaluation skips."""
SIDES = {"alexnet": 64, "inception_v3": 96}
BUNDLED = ("lenet", "lenet5_1998", "alexnet", "googlenet", "mlp3", "conv_example")


def read(module: nn.Module, shape: tuple[int, ...], *, blocks: bool = False) -> Imported:
    """The spec of a module, without the command line."""
    return imported(read_program(trace(module, shape, "it"), "it"), blocks=blocks)


def analyzed(network: Imported) -> Summary:
    """The table of what is written: the YAML is read, not the data that it came from."""
    return cnncalc.analyze(cnncalc.load(parse(Source("it.yaml", network.text))))


def published(name: str) -> nn.Module:
    """torchvision's network with numbers in which no two vectors are alike."""
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "inception_v3" else {}
    model: nn.Module = torchvision.models.get_model(name, **options).eval()
    with torch.no_grad():
        for key, tensor in (*model.named_parameters(), *model.named_buffers()):
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() == 1:
                tensor.add_(torch.randn_like(tensor), alpha=0.1)
    return model


def assert_same(name: str, figures: tuple[int, int]) -> None:
    model = published(name)
    side = 299 if name == "inception_v3" else 224
    sketch = read_program(trace(model, (3, side, side), name), name)
    network = imported(sketch)
    for form in (network, imported(sketch, blocks=True)):
        totals = analyzed(form).totals
        assert (totals.parameters, totals.multiply_adds) == figures
        assert totals.unknown == ()
    ours = cnncalc.build(network.spec).eval()
    cnncalc.load_weights(ours, model.state_dict(), strict=False, map=network.weights)
    x = torch.randn(2, 3, SIDES.get(name, 64), SIDES.get(name, 64))
    with torch.no_grad():
        expected, output = model(x), ours(x)
    assert float((expected[0] - expected[1]).abs().max()) > 0
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", by_tier(PUBLISHED, "resnet18"))
def test_published_figures_and_the_same_outputs(name: str) -> None:
    assert_same(name, PUBLISHED[name])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", LARGE)
def test_published_figures_and_the_same_outputs_of_large_networks(name: str) -> None:
    assert_same(name, LARGE[name])


def test_concats_that_grow_are_nested_and_repeated() -> None:
    """DenseNet's layers concatenate all before them; a spec nests, with the same numbers."""
    model = torchvision.models.DenseNet(8, (2, 3), 16, bn_size=2, num_classes=5).eval()
    sketch = read_program(trace(model, (3, 64, 64), "it"), "it")
    plain, blocks = imported(sketch), imported(sketch, blocks=True)
    assert "inputs" not in plain.text
    assert "repeat: 3\n" in blocks.text
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 64, 64))
    for network in (plain, blocks):
        totals = analyzed(network).totals
        assert totals.parameters == sum(p.numel() for p in model.parameters())
        assert 2 * totals.multiply_adds == counter.get_total_flops()


@pytest.mark.exhaustive
def test_the_main_output_of_a_segmentation_network() -> None:
    with torch.device("meta"):
        model = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None)
    network = read(model, (3, 64, 64))
    summary = analyzed(network)
    assert summary.totals.parameters == 3_221_538
    assert (summary.output_shape, summary.totals.unknown) == ((21, 64, 64), ())
    with torch.device("meta"):
        counted = model.eval()(torch.zeros(1, 3, 64, 64))
    assert summary.output_shape == tuple(counted["out"].shape[1:])


@pytest.mark.parametrize("name", by_tier(BUNDLED, "lenet5_1998", "mlp3", "conv_example"))
def test_a_bundled_network_built_and_imported_has_the_same_table(name: str) -> None:
    expected = cnncalc.analyze(name)
    module = cnncalc.build(name)
    summary = cnncalc.analyze_module(module, expected.input_shape)
    assert summary.totals == expected.totals
    assert summary.output_shape == expected.output_shape
    assert sorted(row.kind for row in summary.layers) == sorted(r.kind for r in expected.layers)


class Residual(nn.Module):
    """A chain, a residual and what is called without a module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.down = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.relu(self.bn(self.stem(x)))
        x = self.body(x) + x
        x = torch.cat([x, self.down(x)], 1)[:, 8:]
        return self.fc(x.mean((2, 3)))


def test_chains_are_lists_and_joins_have_branches() -> None:
    assert read(Residual(), (3, 8, 8)).text == (
        """\
name: it
input: [3, 8, 8]

layers:
  - {name: stem, conv: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}}
  - {name: bn, batch_norm: {}}
  - relu
  - residual:
      - name: body
        layers:
          - {name: conv0, conv: {out_channels: 8, kernel_size: 3, padding: 1}}
          - relu
  - concat:
      - []
      - - {name: down, conv: {out_channels: 8, kernel_size: 1}}
  - slice: {start: 8}
  - global_avg_pool
  - flatten
  - {name: fc, linear: 10}

imported: {weights: {residual1.body.body.conv0: body.0, concat1.branch2.down: down}}
"""
    )


class Crossed(nn.Module):
    """No nesting of branches has this form: each convolution is used twice, across."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 1) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.a(x)
        b = self.b(a)
        c = self.c(b)
        return torch.cat([a + c, b + x], 1)


def test_any_other_graph_is_written_with_inputs() -> None:
    module = Crossed().eval()
    network = read(module, (4, 5, 5))
    assert "inputs: [a, c]" in network.text or "inputs: [c, a]" in network.text
    assert "input]" in network.text
    ours = cnncalc.build(network.spec).eval()
    cnncalc.load_weights(ours, module.state_dict(), map=network.weights)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(x), module(x))


class Twice(nn.Module):
    """One convolution called twice, a relu that works in place on what is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x.relu_()
        return self.conv(x)


def test_a_shared_module_is_counted_once_and_works_every_time() -> None:
    module = Twice().eval()
    network = read(module, (4, 6, 6))
    totals = analyzed(network).totals
    assert "shares: conv}" in network.text
    assert totals.parameters == 4 * (9 * 4 + 1)
    assert totals.multiply_adds == 2 * 4 * 36 * 9 * 4
    ours = cnncalc.build(network.spec).eval()
    weights = {ours_: theirs for ours_, theirs in network.weights.items() if "conv2" not in ours_}
    cnncalc.load_weights(ours, module.state_dict(), strict=False, map=weights)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(ours(x), module(x))


class Part(nn.Module):
    """Writes into a part of a tensor whose whole is used afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(x))
        x[:, :2].relu_()
        return x * 1


def test_what_is_changed_in_place_by_a_part_of_it_is_no_layer_of_ours() -> None:
    summary = analyzed(read(Part().eval(), (3, 4, 4)))
    assert summary.totals.parameters == 4 * (3 + 1) + 2 * 4
    assert any("scatter" in name for name in summary.totals.unknown)


class Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gain = nn.Parameter(torch.ones(6))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc((torch.cumsum(self.conv(x), 2) * self.gain).amax((2, 3)))


def test_what_has_no_layer_is_named_and_counted_in_nothing() -> None:
    network = read(Strange(), (3, 8, 8))
    summary = analyzed(network)
    unknown = [row for row in summary.layers if row.kind == "unknown"]
    assert [row.layer for row in unknown] == ["aten.cumsum.default", "aten.mul.Tensor"]
    for row in unknown:
        assert (row.parameters, row.multiply_adds, row.flops, row.weight_bytes) == (None,) * 4
        assert row.receptive_field.size == (None, None)
    assert summary.totals.parameters == 4 * (3 * 9 + 1) + 2 * (4 + 1)
    assert summary.totals.multiply_adds == 36 * 4 * 27 + 8
    assert summary.totals.unknown == (
        "unknown1 (aten.cumsum.default)",
        "unknown2 (aten.mul.Tensor)",
    )
    assert network.notes == ("parameters left out: 6 of gain",)
    table = str(summary)
    assert "incomplete, what has no layer is counted in nothing: unknown1" in table
    assert "–" in table
    with pytest.raises(cnncalc.SpecError, match=r"unknown1: aten\.cumsum\.default has no layer"):
        cnncalc.build(network.spec)


class Products(nn.Module):
    """Products with what is kept, with its transpose, and with what is computed of it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.w = nn.Parameter(torch.ones((6, 24) if how == "reshaped" else (12, 12)))
        self.b = nn.Parameter(torch.ones(12))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        if self.how == "kept":
            return x @ self.w + 0
        if self.how == "turned":
            return x @ self.w.t()
        if self.how == "product":
            return x @ (self.w @ self.w)
        if self.how == "softmax":
            return torch.addmm(self.b, x, (self.w * 2).softmax(0))
        if self.how == "reshaped":
            return x @ self.w.permute(1, 0).reshape(12, 12)
        return (x @ self.w) @ self.w.t()


@pytest.mark.parametrize(
    ("how", "parameters", "kinds"),
    [
        ("kept", 144, ["linear"]),
        ("turned", 144, ["linear"]),
        ("product", 0, ["unknown"]),
        ("softmax", 0, ["unknown"]),
        ("reshaped", 0, ["unknown"]),
        ("tied", 144, ["linear", "unknown"]),
    ],
)
def test_a_computed_weight_is_not_a_learnt_one(how: str, parameters: int, kinds: list[str]) -> None:
    summary = analyzed(read(Products(how), (3, 2, 2)))
    assert [row.kind for row in summary.layers] == ["flatten", *kinds]
    assert summary.totals.parameters == parameters


def test_a_square_matrix_from_the_right_is_loaded_transposed() -> None:
    module = Products("kept")
    with torch.no_grad():
        module.w.copy_(torch.rand(12, 12))
    spec = read(module, (3, 2, 2)).spec
    ours = cnncalc.build(spec)
    cnncalc.load_weights(ours, {"w": module.w})
    x = torch.rand(2, 3, 2, 2)
    torch.testing.assert_close(ours(x), module(x))
    del spec["imported"]
    with pytest.raises(cnncalc.UsageError, match=r"1 of the state dict: w \(12, 12\)"):
        cnncalc.load_weights(cnncalc.build(spec), {"w": module.w})


class Cropped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 1:]


def test_a_crop_of_one_axis_stands_on_one_line() -> None:
    assert "\n  - crop: {cropping: [[1, 0], 0]}\n" in read(Cropped(), (3, 8, 8)).text


class Expanded(nn.Module):
    """The mean of each channel at every place."""

    def __init__(self, then: str) -> None:
        super().__init__()
        self.then = then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((2, 3), keepdim=True).expand_as(x)
        if self.then == "pool":
            return nn.functional.adaptive_avg_pool2d(means, 1)
        return means if self.then == "nothing" else x * means


@pytest.mark.parametrize(
    ("then", "unknown", "shape"),
    [("nothing", 1, (3, 8, 8)), ("pool", 1, (3, 1, 1)), ("product", 0, (3, 8, 8))],
)
def test_axes_made_longer_are_dropped_only_where_a_product_does_it(
    then: str, unknown: int, shape: tuple[int, ...]
) -> None:
    summary = analyzed(read(Expanded(then), (3, 8, 8)))
    assert summary.output_shape == shape
    assert len(summary.totals.unknown) == unknown


def test_a_module_is_analyzed_where_it_is_and_left_as_it_was() -> None:
    module = Residual().train()
    module.bn.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    summary = cnncalc.analyze_module(module, (3, 8, 8))
    assert summary.name == "Residual"
    assert summary.totals.parameters == sum(p.numel() for p in module.parameters())
    assert (module.training, module.bn.training, module.fc.training) == (True, False, True)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_frozen_weights_are_counted_apart() -> None:
    module = Residual()
    module.stem.requires_grad_(requires_grad=False)
    totals = cnncalc.analyze_module(module, (3, 8, 8)).totals
    assert totals.frozen_parameters == 8 * 3 * 9
    assert totals.parameters == sum(p.numel() for p in module.parameters() if p.requires_grad)


class Several(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
        return x.relu(), x.tanh()


def test_the_first_of_several_outputs_is_imported_and_the_others_named() -> None:
    network = read(Several(), (3, 4, 4))
    assert network.spec["layers"] == ["relu"]
    assert network.notes == ("outputs left out: aten.tanh.default",)
    assert network.spec["imported"]["left_out"] == {"outputs": ["aten.tanh.default"]}


def test_what_is_left_out_of_an_analysis_is_a_warning() -> None:
    message = "Several: the totals are incomplete: outputs left out: aten.tanh.default"
    with pytest.warns(cnncalc.IncompleteWarning, match=message) as said:
        assert len(cnncalc.analyze_module(Several(), (3, 4, 4)).layers) == 1
    assert (len(said), said[0].filename) == (1, __file__)


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (Branching(), (3, 4, 4), r"Branching: torch.export cannot follow it on 3×4×4: \w+"),
        (nn.Conv2d(3, 4, 3), (1, 8, 8), "Conv2d: torch.export cannot follow it on 1×8×8"),
        (nn.Identity(), (3, 4), "Identity: computes nothing: its output is its input"),
    ],
)
def test_a_module_that_cannot_be_followed_says_why(
    module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(cnncalc.UsageError, match=message) as caught:
        cnncalc.analyze_module(module, shape)
    assert "\n" not in str(caught.value)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (3, (3, 8, 8), "int: is an int, not a torch.nn.Module"),
        (Lazy, (3, 8, 8), "type: is the class Lazy, not a torch.nn.Module"),
        (Lazy(), (3, 8, 8), "Lazy: has parameters without a shape; use it once first"),
        (nn.ReLU(), 5, "ReLU: 5 is no shape of one sample, such as"),
        (nn.ReLU(), "3x32x32", "ReLU: '?3x32x32'? is no shape of one sample"),
        (nn.ReLU(), (3, -1, 32), r"ReLU: \[3, -1, 32\] is no shape of one sample"),
        (nn.ReLU(), (), r"ReLU: \[\] is no shape of one sample"),
        (nn.Conv2d(3, 4, 3), (1, 3, 8, 8), "; the shape is one sample's, without the batch$"),
    ],
)
def test_what_cannot_be_analyzed_is_told(module: Any, shape: Any, message: str) -> None:
    with pytest.raises(cnncalc.UsageError, match=message):
        cnncalc.analyze_module(module, shape)


BLOCKS = """\
blocks:
  downsample:
    parameters: {out_channels, stride: 1}
    layers:
      - conv: {out_channels: =out_channels, kernel_size: 1, stride: =stride, bias: false}
      - batch_norm
  bottleneck:
    parameters: {out_channels, stride: 1, project: "=stride != 1 or in_channels != 4*out_channels"}
    layers:
      - residual:
          body:
            - conv: {out_channels: =out_channels, kernel_size: 1, bias: false}
            - {name: bn1, batch_norm: {}}
            - relu
            - conv:
                out_channels: =out_channels
                kernel_size: 3
                stride: =stride
                padding: 1
                bias: false
            - {name: bn2, batch_norm: {}}
            - relu
            - conv: {out_channels: =4*out_channels, kernel_size: 1, bias: false}
            - {name: bn3, batch_norm: {}}
          shortcut:
            - name: downsample
              if: =project
              downsample: {out_channels: =4*out_channels, stride: =stride}
      - relu
  layer:
    parameters: {out_channels, repeats, stride: 1}
    layers:
      - bottleneck: {out_channels: =out_channels, stride: =stride}
      - {repeat: =repeats, bottleneck: =out_channels}

layers:
  - conv: {out_channels: 64, kernel_size: 7, stride: 2, padding: 3, bias: false}
  - {name: bn1, batch_norm: {}}
  - relu
  - max_pool: {kernel_size: 3, stride: 2, padding: 1}
  - layer: {out_channels: 64, repeats: 2}
  - layer: {out_channels: 128, repeats: 3, stride: 2}
  - layer: {out_channels: 256, repeats: 5, stride: 2}
  - layer: {out_channels: 512, repeats: 2, stride: 2}
  - {name: avgpool, global_avg_pool: {}}
  - flatten
  - {name: fc, linear: 1000}
"""


def test_resnet50_in_blocks_reads_like_a_hand_written_one() -> None:
    with torch.device("meta"):
        model = torchvision.models.resnet50()
    network = read(model, (3, 224, 224), blocks=True)
    spec, _, names = network.text.partition("\n\n")[2].partition("\nimported:")
    assert spec == BLOCKS
    assert "layer1.bottleneck1.residual1.body.conv1: layer1.0.conv1" in names
    mine, ours = analyzed(network), cnncalc.analyze("resnet50")
    assert mine.totals == ours.totals
    assert set(network.weights.values()) <= set(model.state_dict())
    own = cnncalc.build(network.spec).state_dict()
    assert set(network.weights) == {
        name for name in own if not name.endswith("num_batches_tracked")
    }
