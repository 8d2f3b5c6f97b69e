"""What a training step costs beside a bare loop over tensors that are in memory already.

    python benchmarks/training.py

The same network, batch, optimizer and numbers on both sides, on one thread, run in turn in one
process, in seconds of the processor. The bare loop has its batches normalised and cut beforehand;
ours gathers, scales and normalises uint8 images, sets the learning rate and keeps the figures.
Exits 1 on a miss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from measure import compile_package, report, table
from modules import Pair, compared

import cnncalc
from cnncalc.pytorch.rewriting import pool_before_activation
from cnncalc.training.data import Split
from cnncalc.training.device import Setting
from cnncalc.training.feeding.batches import Preparer, TrainingBatches
from cnncalc.training.step.learner import Learner

CONV = {"conv": {"out_channels": 8, "kernel_size": 3}}
TINY = {"input": [1, 8, 8], "layers": [CONV, "relu", {"max_pool": 2}, "flatten", {"linear": 10}]}
LR = {"optimizer.lr": 0.05}


def against_a_bare_loop(name: str, network: cnncalc.Architecture, steps: int, turns: int) -> Pair:
    """A turn is `steps` steps of 128 images."""
    torch.manual_seed(0)
    recipe = network.recipe(LR)
    shape = cnncalc.analyze(network).input_shape
    images = torch.randint(256, (steps * recipe.batch_size, *shape), dtype=torch.uint8)
    labels = torch.randint(10, (len(images),))
    setting = Setting(torch.device("cpu"), torch.float32, channels_last=True)
    prepare = Preparer((0.5,) * shape[0], (0.25,) * shape[0], shape, setting.memory_format)
    split = Split(images, labels)
    batches = TrainingBatches(split, recipe, prepare, 10, setting.device)
    ours, theirs = (cnncalc.build(network, seed=0) for _ in range(2))
    for model in (ours, theirs):
        pool_before_activation(model)
    learner = Learner(ours, recipe, setting, len(batches))
    theirs = theirs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, fused=True)
    ready = [
        (prepare(x), y)
        for x, y in zip(
            images.split(recipe.batch_size), labels.split(recipe.batch_size), strict=True
        )
    ]

    def train() -> None:
        for batch in batches.epoch(0):
            learner.learn(batch)
        learner.tally.look()

    def bare() -> None:
        for x, y in ready:
            F.cross_entropy(theirs(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    return compared(name, train, bare, turns)


def main() -> None:
    compile_package()
    torch.set_num_threads(1)
    pairs = [
        against_a_bare_loop("L3's LeNet, 128 images", cnncalc.load("lenet5_wide"), 3, 10),
        against_a_bare_loop("a tiny network, 8×8", cnncalc.load(TINY), 100, 20),
    ]
    lines = [["step of", "ours, s", "bare, s", "ratio", "its quartiles"]]
    for pair in pairs:
        low, middle, high = (f"{ratio:.3f}" for ratio in pair.quartiles)
        lines.append(
            [pair.name, f"{pair.ours:.4f}", f"{pair.theirs:.4f}", middle, f"{low} to {high}"]
        )
    print(table(lines))
    print()
    report([pairs[0].row(1.03), pairs[1].row(1.10)])


if __name__ == "__main__":
    main()
