"""torchvision's own networks beside the bundled ones: as many numbers in each, the same settings
of their norms and dropouts, and the same outputs.

Each is given torchvision's randomly initialised weights, in order. A norm's statistics are those
of a random batch, its weights are moved off 1 and 0, so that none of its four vectors could stand
in for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import by_tier
from support.published import reference

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTIONS: dict[str, dict[str, bool]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
BUNDLED_AS = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}


class Counterpart(NamedTuple):
    """One of torchvision's networks, and how the outputs are compared."""

    name: str
    shape: tuple[int, ...] = (3, 64, 64)
    """Of one image."""
    gain: float = 1.0
    """√6 where PyTorch's default weights would let the image fade to nothing."""

    def ours(self) -> Any:
        return cnncalc.build(BUNDLED_AS.get(self.name, self.name))

    def torchvisions(self) -> Any:
        if self.name == "resnet18_cifar":
            return _for_cifar(torchvision.models.resnet18(num_classes=10))
        return torchvision.models.get_model(self.name, **OPTIONS.get(self.name, {}))


def _for_cifar(model: Any) -> Any:
    """torchvision's ResNet as it is commonly changed for images of 32×32."""
    model.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model


WHOLE = (3, 224, 224)
COMPARED = [
    Counterpart("alexnet", WHOLE, gain=6**0.5),
    *(Counterpart(name, WHOLE) for name in ("vgg11", "vgg11_bn", "vgg16", "vgg19_bn")),
    Counterpart("googlenet"),
    *(Counterpart(f"resnet{n}") for n in (18, 34, 50, 101, 152)),
    Counterpart("resnet18_cifar", (3, 32, 32)),
    Counterpart("resnext50_32x4d"),
    Counterpart("wide_resnet50_2"),
    Counterpart("densenet121"),
    Counterpart("squeezenet1_0"),
    Counterpart("squeezenet1_1"),
    Counterpart("mobilenet_v2"),
    Counterpart("mobilenet_v3_small"),
    Counterpart("mnasnet0_5"),
    Counterpart("shufflenet_v2_x0_5"),
    Counterpart("efficientnet_b0"),
    Counterpart("efficientnet_v2_s"),
    Counterpart("regnet_x_400mf"),
    Counterpart("regnet_y_400mf"),
    Counterpart("convnext_tiny"),
    Counterpart("inception_v3", (3, 96, 96)),
    Counterpart("r3d_18", (3, 4, 32, 32)),
    Counterpart("mc3_18", (3, 4, 32, 32)),
    Counterpart("r2plus1d_18", (3, 4, 32, 32)),
]
SMALL = (
    *("resnet18_cifar", "densenet121", "squeezenet1_1", "mobilenet_v2"),
    *("mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5", "efficientnet_b0"),
    *("regnet_x_400mf", "convnext_tiny", "r3d_18"),
)
"""Of each family with under 40 M parameters one: making the weights is what takes time."""
QUICK = ("resnet18_cifar", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "regnet_x_400mf")
HUGE = "regnet_y_128gf"
"""645 M weights, which torchvision cannot make without memory for them."""
NOT_RUN = sorted(
    {row[0] for row in reference("torchvision_cnn")["rows"]}
    - {HUGE, *(case.name for case in COMPARED)}
)
"""The rest of its classifiers."""


NAMED = (
    *SMALL,
    "googlenet",
    "resnet18",
    "alexnet",
    "vgg11",
    "vgg16",
    "inception_v3",
    "wide_resnet50_2",
)
NAMED += ("resnext50_32x4d", "mobilenet_v3_large")
"""Of each family one at least."""


def sizes(tensors: Iterable[Any]) -> tuple[int, int]:
    """How many tensors there are, and how many numbers."""
    numbers = [tensor.numel() for tensor in tensors]
    return len(numbers), sum(numbers)


def settings(model: Any) -> dict[str, list[Any]]:
    """What layers do beside their weights, in order; stochastic depths that drop nothing apart."""
    modules = [*model.modules()]
    idle = {
        id(unit.stochastic_depth)
        for unit in modules
        if hasattr(unit, "stochastic_depth") and not getattr(unit, "use_res_connect", True)
    }
    found: dict[str, list[Any]] = {"norms": [], "dropouts": [], "depths": []}
    for module in modules:
        kind = type(module).__name__
        if "Norm" in kind and hasattr(module, "eps"):
            found["norms"].append((module.eps, round(getattr(module, "momentum", 0), 9)))
        elif kind == "Dropout":
            found["dropouts"].append(module.p)
        elif kind == "StochasticDepth" and module.p > 0 and id(module) not in idle:
            found["depths"].append((round(module.p, 9), module.mode))
    return found


@pytest.mark.parametrize("name", by_tier([*(case.name for case in COMPARED), *NOT_RUN], *NAMED))
def test_as_many_parameters_and_buffers_and_the_same_settings(name: str) -> None:
    case = Counterpart(name)
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # whose widths are tensors
        theirs = case.torchvisions()
    with torch.device("meta"):
        ours = case.ours()
    assert sizes(ours.parameters()) == sizes(theirs.parameters())
    assert sizes(ours.buffers()) == sizes(theirs.buffers())
    assert settings(ours) == settings(theirs)


def randomise(model: Any, images: Any, gain: float) -> None:
    """Moves every vector off its constant, and takes the norms' statistics from `images`."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() == max(parameter.shape):
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            else:
                parameter.mul_(gain)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the mean of what it has seen: these images
        model.train()(images)
    model.eval()


def outputs_of(case: Counterpart) -> tuple[Any, Any, Any]:
    """torchvision's network with weights of which each matters, ours without, and two images."""
    torch.manual_seed(0)
    theirs = case.torchvisions()
    seen = (3, 64, 64) if case.shape == WHOLE else case.shape
    randomise(theirs, torch.randn(2, *seen), case.gain)
    with torch.device("meta"):
        ours = case.ours()
    return theirs, ours.to_empty(device="cpu").eval(), torch.randn(2, *case.shape)


@pytest.mark.parametrize("case", by_tier(COMPARED, *QUICK, name=lambda case: case.name))
def test_the_same_output(case: Counterpart) -> None:
    """Pairs in order are those of proven_pairings.txt: scripts/pairings writes it."""
    theirs, ours, x = outputs_of(case)
    loaded = cnncalc.load_weights(ours, theirs.state_dict())
    assert len(loaded.matched) == len(theirs.state_dict())
    with torch.no_grad():
        expected, output = theirs(x), ours(x)
    scale = float(expected.abs().max())
    assert float((expected[0] - expected[1]).abs().max()) > 0.01 * scale, "the image hardly matters"
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5 * scale)


def test_the_multiply_adds_of_the_network_for_cifar() -> None:
    with torch.device("meta"):
        theirs, image = Counterpart("resnet18_cifar").torchvisions(), torch.empty(1, 3, 32, 32)
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
