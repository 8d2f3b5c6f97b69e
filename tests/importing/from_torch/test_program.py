"""What torch.export makes of a module, read: views, regions, names, and where the batch stands."""

from __future__ import annotations

from typing import Any

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

from cnncalc.importing.from_torch.program import read_program  # noqa: E402
from cnncalc.importing.from_torch.tracing import trace  # noqa: E402
from cnncalc.importing.import_network import imported  # noqa: E402


class Aliased(nn.Module):
    """relu_ on a tensor, of which a view that was taken before is used after."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 36, 5)

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        flat = y.flatten(1)
        y.relu_()
        return self.head(flat)


class ViewChanged(Aliased):
    """relu_ on a view of a tensor that is used after as a whole."""

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        y.view(len(x), -1).relu_()
        return self.head(y.flatten(1))


class ChangedTwice(Aliased):
    """What one operation in place returns is changed by the next; the first name is used after."""

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        y.relu_().sigmoid_()
        return self.head(y.flatten(1))


class Plain(Aliased):
    """relu_ as most networks have it, which nothing else sees."""

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x).relu_().flatten(1))


class Regions(nn.Module):
    """Regions of gradients and autocast, one within another, of two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.after = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)
        self.head = nn.Linear(5 * 36, 5)

    def forward(self, x: Any) -> Any:
        with torch.set_grad_enabled(True):
            x = self.conv(x)
            y = x.relu()
            with torch.autocast("cpu", enabled=False):
                x = self.after(x + y)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("cls", [Aliased, ViewChanged, ChangedTwice, Plain, Regions])
def test_what_is_imported_computes_the_same(cls: Any) -> None:
    torch.manual_seed(0)
    model = cls().eval()
    network = imported(read_program(trace(model, (3, 8, 8), "it"), "it"))
    assert network.notes == ()
    ours = cnncalc.build(network.spec).eval()
    cnncalc.load_weights(ours, model.state_dict())
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), model(x))
    assert cnncalc.analyze(network.spec).totals.parameters == sum(
        parameter.numel() for parameter in model.parameters()
    )


class TwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3)
        self.net = nn.Sequential(self.conv, nn.ReLU())

    def forward(self, x: Any) -> Any:
        return self.net(x)


def test_a_layer_under_two_names_is_counted_and_noted_once(recwarn: Any) -> None:
    totals = cnncalc.analyze_module(TwoNames(), (2, 20)).totals
    assert (totals.parameters, totals.multiply_adds) == (21, 324)
    assert [str(each.message) for each in recwarn if "left out" in str(each.message)] == []


class TwoInputs(nn.Module):
    def forward(self, image: Any, depth: Any, scale: float = 1.0) -> Any:
        return image + depth * scale


def test_several_inputs_are_named() -> None:
    message = r"^TwoInputs: a network has one input; this one takes 2: image, depth$"
    with pytest.raises(cnncalc.UsageError, match=message):
        cnncalc.analyze_module(TwoInputs(), (3, 8, 8))


class Attention(nn.Module):
    """Operations behind a permute, whose batch is no longer the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(3, 48, 1)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).reshape(len(x), 3, 16, 256).permute(1, 0, 2, 3)
        return (torch.softmax(q.transpose(1, 2) @ k, -1) @ v.transpose(1, 2)).mean(1)


def test_shapes_and_bytes_are_those_of_one_sample() -> None:
    summary = cnncalc.analyze_module(Attention(), (3, 16, 16))
    assert summary.totals.parameters == 192
    shapes = {layer.name: layer.output_shape for layer in summary.layers}
    assert shapes["unknown1"] == (3, 16, 256)
    assert shapes["unknown4"] == (256, 256)
    assert all(
        size % 2 == 0 or size == 3 for layer in summary.layers for size in layer.output_shape
    )
    product = next(layer for layer in summary.layers if layer.name == "unknown4")
    assert product.activation_bytes == 4 * 256 * 256


class Windows(nn.Module):
    """A sample is cut into 4 windows, which stand on the axis of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        y = y.reshape(len(x), 6, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1)
        y = y.reshape(-1, 16, 6).cumsum(1)
        return y.reshape(len(x), -1)


def test_several_of_one_sample_stay_several() -> None:
    summary = cnncalc.analyze_module(Windows(), (3, 8, 8))
    assert [*summary.totals.unknown][-1].startswith("unknown")
    sums = next(layer for layer in summary.layers if "cumsum" in str(layer.layer))
    assert sums.output_shape == (4, 16, 6)
