"""How fast built modules run and are built, beside the same networks written by hand.

    python benchmarks/modules.py

Forward and backward of ResNet-50 against torchvision's and of LeNet against an `nn.Sequential`,
with equal weights and inputs; building ResNet-152 against torchvision's. Each figure is the median
of ratios of pairs, run in turn (ours, theirs, theirs, ours) in one process, on one thread, in
seconds of the processor, so that other work on the machine weighs little. Exits 1 on a miss.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from measure import Row, compile_package, report, table
from torch import nn

import cnncalc

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Pair:
    """Two ways to do the same: quartiles of their ratio, medians of their seconds."""

    name: str
    quartiles: list[float]
    ours: float
    theirs: float

    def row(self, at_most: float) -> Row:
        return Row(self.name, self.quartiles[1], at_most=at_most)


def seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def compared(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], turns: int) -> Pair:
    """Both, `turns` times each way round after one warm-up."""
    ours()
    theirs()
    samples = []
    for _ in range(turns):
        first, second, third, fourth = map(seconds, (ours, theirs, theirs, ours))
        samples.append((first + fourth, second + third))
    ratios = [own / other for own, other in samples]
    medians = [statistics.median(side) / 2 for side in zip(*samples, strict=True)]
    return Pair(name, statistics.quantiles(ratios, n=4), *medians)


def step(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One forward and backward run in training."""

    def run() -> None:
        model.zero_grad()
        model(x).sum().backward()

    return run


def trained(
    name: str, ours: nn.Module, theirs: nn.Module, shape: tuple[int, ...], turns: int
) -> Pair:
    cnncalc.load_weights(ours, theirs.state_dict())
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    return compared(name, step(ours, x), step(theirs, x), turns)


def lenet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=5),
        nn.MaxPool2d(kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=5),
        nn.MaxPool2d(kernel_size=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 200),
        nn.ReLU(),
        nn.Linear(200, 10),
    )


def on_meta(function: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> None:
        with torch.device("meta"):
            function()

    return run


def main() -> None:
    compile_package()
    torch.set_num_threads(1)
    resnet50, resnet152 = torchvision.models.resnet50, torchvision.models.resnet152

    def build() -> nn.Module:
        return cnncalc.build("resnet152")

    steps = [
        trained("LeNet, 16 images", cnncalc.build("lenet"), lenet(), (16, 1, 28, 28), 1200),
        trained("ResNet-50, 4 images", cnncalc.build("resnet50"), resnet50(), (4, 3, 96, 96), 80),
    ]
    building = compared("building ResNet-152", build, resnet152, 12)
    meta = compared("the same on meta", on_meta(build), on_meta(resnet152), 12)
    lines = [["pair", "ours, s", "theirs, s", "ratio", "its quartiles"]]
    for pair in (*steps, building, meta):
        low, middle, high = (f"{ratio:.3f}" for ratio in pair.quartiles)
        lines.append(
            [pair.name, f"{pair.ours:.4f}", f"{pair.theirs:.4f}", middle, f"{low} to {high}"]
        )
    print(table(lines))
    print()
    report(
        [
            *(pair.row(1.03) for pair in steps),
            building.row(1.3),
            Row("on meta, s", meta.ours, at_most=1.0),
        ]
    )


if __name__ == "__main__":
    main()
