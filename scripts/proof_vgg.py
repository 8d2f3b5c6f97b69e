"""What holds L3's VGG, and its run in bfloat16 where no unit computes that.

    scripts/proofs vgg start DIR        signal and gradients at the start, on 256 images of CIFAR-10
    scripts/proofs vgg train vgg …      `cnncalc train vgg …` in bfloat16, by rounded float32

DIR is a folder of data, as --data-dir. A processor without units for bfloat16 takes over a hundred
seconds for a step of this network. What units do is done here at the speed of float32: operands of
convolutions and linear layers are rounded, products summed in float32, and results and gradients
rounded again.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor, nn

import cnncalc
from cnncalc.cli import main
from cnncalc.training.device import Setting


class Rounded(torch.autograd.Function):
    """A number, and on the way back its gradient, as bfloat16 holds it."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.bfloat16().float()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient.bfloat16().float()


@contextlib.contextmanager
def rounded_layers() -> Any:
    convolve, map_linearly = nn.Conv2d._conv_forward, nn.Linear.forward

    def maybe(x: Tensor | None) -> Any:
        return None if x is None else Rounded.apply(x)

    def conv(self: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        return Rounded.apply(convolve(self, maybe(x), maybe(weight), maybe(bias)))

    def linear(self: nn.Linear, x: Tensor) -> Any:
        return Rounded.apply(F.linear(maybe(x), maybe(self.weight), maybe(self.bias)))

    nn.Conv2d._conv_forward, nn.Linear.forward = conv, linear
    try:
        yield
    finally:
        nn.Conv2d._conv_forward, nn.Linear.forward = convolve, map_linearly


def train(arguments: list[str]) -> None:
    Setting.autocast = lambda self: rounded_layers()  # type: ignore[method-assign]
    sys.argv = ["cnncalc", *arguments, "--data", "cifar10", "--precision", "bfloat16"]
    main()


def start(folder: str) -> None:
    """For each way to begin: how much scores depend on the image, and what comes back."""
    from cnncalc.training.options import RunOptions
    from cnncalc.training.plan import plan_run

    network = cnncalc.load("vgg")
    data = plan_run(
        network,
        network.recipe({"data.name": "cifar10", "data.dir": folder}),
        RunOptions(device="cpu"),
    ).data
    drawn = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(0))[:256]
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (data.mean, data.std))
    images = (data.train.images[drawn] / 255 - mean) / std
    print("network      init     dependent/common  first gradient  kept by bfloat16")
    for name in ("vgg_lab", "vgg_formula"):
        for scheme in ("default", "xavier", "kaiming"):
            spec = cnncalc.load(name).model_copy(update={"init": {"weights": scheme}})
            model = cnncalc.build(spec, seed=0)
            scores = model(images)
            F.cross_entropy(scores, data.train.labels[drawn]).backward()
            gradient = float(next(model.parameters()).grad.norm())
            with torch.no_grad(), rounded_layers():
                rounded = model(images)
            both = [each - each.mean(0) for each in (scores.detach(), rounded)]
            share = both[0].square().mean().sqrt() / scores.mean(0).square().mean().sqrt()
            kept = torch.corrcoef(torch.stack([each.flatten() for each in both]))[0, 1]
            print(
                f"{name:11}  {scheme:8} {share:15.4f}  {gradient:14.1e}  {kept:16.3f}", flush=True
            )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start", folder]:
            start(folder)
        case ["train", *_] as arguments:
            train(arguments)
        case _:
            sys.exit(__doc__)
