"""torchvision's own networks, written as specs: as many numbers in each, and the same outputs.

Each is given torchvision's randomly initialised weights, in order and without a `map`. A norm's
statistics are those of a random batch, its weights are moved off 1 and 0, so that none of its four
vectors could stand in for another.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SPECS = Path(__file__).parent / "specs"


class Counterpart(NamedTuple):
    """Our spec of one of torchvision's networks."""

    theirs: str
    """The function of torchvision.models."""
    spec: str | Path
    parameters: Mapping[str, Any] = MappingProxyType({})
    side: int = 64
    """Of the images on which the outputs are compared."""
    gain: float = 1.0
    """√6 where PyTorch's default weights would let the image fade to nothing."""

    def ours(self) -> Any:
        return cnncalc.build(cnncalc.load(self.spec, parameters=dict(self.parameters)))

    def torchvisions(self) -> Any:
        if self.theirs == "resnet18_cifar":
            return _for_cifar(torchvision.models.resnet18(num_classes=10))
        options = {"aux_logits": False, "init_weights": True} if self.theirs == "googlenet" else {}
        return getattr(torchvision.models, self.theirs)(**options)


def _for_cifar(model: Any) -> Any:
    """torchvision's ResNet as it is commonly changed for images of 32×32."""
    model.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model


VGGS = {
    "vgg11": [1, 1, 2, 2, 2],
    "vgg13": [2] * 5,
    "vgg16": [2, 2, 3, 3, 3],
    "vgg19": [2, 2, 4, 4, 4],
}
"""Convolutions in each stage."""
ALEXNET = Counterpart("alexnet", SPECS / "alexnet_torchvision.yaml", side=224, gain=6**0.5)
COUNTERPARTS = {
    "alexnet": ALEXNET,
    "googlenet": Counterpart("googlenet", SPECS / "googlenet_torchvision.yaml"),
}
COUNTERPARTS["resnet18_cifar"] = Counterpart("resnet18_cifar", "resnet18_cifar", side=32)
for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
    COUNTERPARTS[name] = Counterpart(name, name)
for name, convs in VGGS.items():
    COUNTERPARTS[name] = Counterpart(name, "vgg16", {"convs": convs}, side=224)
    with_norms = {"depths": convs, "batch_norm": True}
    COUNTERPARTS[f"{name}_bn"] = Counterpart(f"{name}_bn", SPECS / "vgg.yaml", with_norms, side=224)
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if case.side == 224 else ())
    for name, case in COUNTERPARTS.items()
]


def sizes(tensors: Iterable[Any]) -> tuple[int, int]:
    """How many tensors there are, and how many numbers."""
    numbers = [tensor.numel() for tensor in tensors]
    return len(numbers), sum(numbers)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_as_many_parameters_and_buffers(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = COUNTERPARTS[name].torchvisions(), COUNTERPARTS[name].ours()
    assert sizes(ours.parameters()) == sizes(theirs.parameters())
    assert sizes(ours.buffers()) == sizes(theirs.buffers())


def randomise(model: Any, images: Any, gain: float) -> None:
    """Moves every vector off its constant, and takes the norms' statistics from `images`."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            else:
                parameter.mul_(gain)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the mean of what it has seen: these images
        model.train()(images)
    model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_output(name: str) -> None:
    torch.manual_seed(0)
    case = COUNTERPARTS[name]
    theirs = case.torchvisions()
    randomise(theirs, torch.randn(2, 3, 64, 64), case.gain)
    with torch.device("meta"):
        ours = case.ours()
    ours.to_empty(device="cpu").eval()
    loaded = cnncalc.load_weights(ours, theirs.state_dict())
    assert len(loaded.matched) == len(theirs.state_dict())
    x = torch.randn(2, 3, case.side, case.side)
    with torch.no_grad():
        expected, output = theirs(x), ours(x)
    scale = float(expected.abs().max())
    assert float((expected[0] - expected[1]).abs().max()) > 0.01 * scale, "the image hardly matters"
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5 * scale)


def test_the_multiply_adds_of_the_network_for_cifar() -> None:
    with torch.device("meta"):
        theirs, image = COUNTERPARTS["resnet18_cifar"].torchvisions(), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        theirs(image)
    totals = cnncalc.analyze("resnet18_cifar").totals
    assert totals.parameters == sum(p.numel() for p in theirs.parameters()) == 11_173_962
    assert totals.multiply_adds == counter.get_total_flops() // 2


def test_weights_are_matched_by_their_names_in_the_table() -> None:
    theirs = torchvision.models.resnet18()
    loaded = cnncalc.load_weights(cnncalc.build("resnet18"), theirs.state_dict())
    assert loaded.matched["conv_bn1.conv1.weight"] == "conv1.weight"
    shortcut = "stage2.basic1.residual1.shortcut.conv_bn1.batch_norm1.running_var"
    assert loaded.matched[shortcut] == "layer2.0.downsample.1.running_var"
    assert loaded.matched["linear1.bias"] == "fc.bias"
