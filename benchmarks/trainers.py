"""What a training step costs here, in a tutorial's loop, in Lightning and in Keras.

    python benchmarks/trainers.py

Each trainer runs as its users write it, in a process of its own, on one thread, all in turn; the
figure is the second epoch's milliseconds of the processor a step, the median of the turns.

- L3's LeNet, batches of 128: MNIST's files with random images. The tutorial's loop and Lightning
  read them by torchvision's data set, ToTensor, Normalize and a DataLoader; Keras takes arrays.
- A tiny network on 8×8 images, where a step is all overhead: tensors in memory for all.

And how long a run of one step takes beside importing PyTorch. Exits 1 on a miss.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from measure import Row, compile_package, interleaved, report, table

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, LR, CLASSES = 128, 0.05, 10
MEAN, STD = 0.1307, 0.3081
TURNS = 5
TINY_CHANNELS = 8


class Case(NamedTuple):
    """A network and the steps of an epoch."""

    name: str
    size: int
    steps: int


CASES = {"lenet": Case("L3's LeNet", 28, 20), "tiny": Case("a tiny network", 8, 300)}


def by_hand(case: Case) -> Any:
    """The network as a tutorial writes it."""
    from torch import nn

    if case.size == 8:
        return nn.Sequential(
            nn.Conv2d(1, TINY_CHANNELS, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(9 * TINY_CHANNELS, CLASSES),
        )
    return nn.Sequential(
        nn.Conv2d(1, 50, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(50, 100, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4900, 100),
        nn.ReLU(),
        nn.Linear(100, CLASSES),
    )


def write_images(case: Case, folder: Path) -> None:
    """Random images and labels, in MNIST's files and names."""
    import numpy as np

    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", case.steps * BATCH), ("t10k", 10)):
        images = random.integers(256, size=(count, case.size, case.size), dtype=np.uint8)
        labels = random.integers(CLASSES, size=count, dtype=np.uint8)
        for values, kind in ((images, "images-idx3"), (labels, "labels-idx1")):
            head = np.array([0x800 + values.ndim, *values.shape], dtype=">i4").tobytes()
            (raw / f"{name}-{kind}-ubyte").write_bytes(head + values.tobytes())


def loader(case: Case, folder: Path) -> Any:
    """Batches as users of PyTorch get them."""
    from torch.utils.data import DataLoader, TensorDataset
    from torchvision import datasets, transforms

    if case.size == 28:
        steps = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        data: Any = datasets.MNIST(folder, transform=transforms.Compose(steps))
    else:
        data = TensorDataset(*tensors(folder))
    return DataLoader(data, batch_size=BATCH, shuffle=True)


def tensors(folder: Path) -> tuple[Any, Any]:
    """The training data as normalised float32 (N, 1, H, W), and classes."""
    from torchvision import datasets

    data = datasets.MNIST(folder)
    return ((data.data / 255 - MEAN) / STD)[:, None], data.targets


def tutorial(case: Case, folder: Path, mark: Callable[[], None]) -> None:
    import torch
    import torch.nn.functional as F  # noqa: N812

    model, batches = by_hand(case), loader(case, folder)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(2):
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        mark()


def bare(case: Case, folder: Path, mark: Callable[[], None]) -> None:
    """Nothing but the steps, over batches that were cut beforehand."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    x, y = tensors(folder)
    ready = [*zip(x.split(BATCH), y.split(BATCH), strict=True)]
    model = by_hand(case)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)
    for _ in range(2):
        for images, labels in ready:
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
        mark()


def lightning(case: Case, folder: Path, mark: Callable[[], None]) -> None:
    import lightning as pl
    import torch
    import torch.nn.functional as F  # noqa: N812

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = by_hand(case)

        def training_step(self, batch: Any, _: int) -> Any:
            x, y = batch
            return F.cross_entropy(self.model(x), y)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=LR)

        def on_train_epoch_end(self) -> None:
            mark()

    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", **quiet)  # type: ignore[arg-type]
    trainer.fit(Module(), loader(case, folder))


def keras(case: Case, folder: Path, mark: Callable[[], None]) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    from keras import Sequential, callbacks, layers, losses, optimizers

    x, y = (part.numpy() for part in tensors(folder))
    if case.size == 8:
        inner = [layers.Conv2D(TINY_CHANNELS, 3, activation="relu"), layers.MaxPooling2D()]
        inner += [layers.Flatten()]
    else:
        inner = [layers.Conv2D(50, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
        inner += [layers.Conv2D(100, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
        inner += [layers.Flatten(), layers.Dense(100, activation="relu")]
    model = Sequential([layers.Input((case.size, case.size, 1)), *inner, layers.Dense(CLASSES)])
    model.compile(optimizers.SGD(LR), losses.SparseCategoricalCrossentropy(from_logits=True))
    ends = callbacks.LambdaCallback(on_epoch_end=lambda *_: mark())
    model.fit(x.transpose(0, 2, 3, 1), y, BATCH, epochs=2, verbose=0, callbacks=[ends])


def ours(case: Case, folder: Path, mark: Callable[[], None]) -> None:
    import cnncalc

    conv = {"conv": {"out_channels": TINY_CHANNELS, "kernel_size": 3}}
    tiny = {
        "input": [1, 8, 8],
        "layers": [conv, "relu", {"max_pool": 2}, "flatten", {"linear": 10}],
    }
    cnncalc.train(
        tiny if case.size == 8 else "lenet5_wide",
        device="cpu",
        output=folder / "run",
        settings={
            "data": {"name": "mnist", "dir": str(folder / "MNIST" / "raw")},
            "optimizer": {"name": "sgd", "lr": LR},
            "batch_size": BATCH,
            "epochs": 2,
        },
        callback=lambda _: mark(),
    )


TRAINERS = {
    "cnncalc": ours,
    "bare loop": bare,
    "tutorial": tutorial,
    "Lightning": lightning,
    "Keras": keras,
}


def child(trainer: str, name: str) -> None:
    """Prints the milliseconds a step of the second epoch."""
    import torch

    torch.set_num_threads(1)
    case, marks = CASES[name], []
    with tempfile.TemporaryDirectory() as folder:
        write_images(case, Path(folder))
        TRAINERS[trainer](case, Path(folder), lambda: marks.append(time.process_time()))
    assert len(marks) == 2
    print(json.dumps((marks[1] - marks[0]) / case.steps * 1e3))


def measured(trainer: str, name: str) -> float:
    command = [sys.executable, __file__, trainer, name]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(run.stdout.splitlines()[-1]))


def side_by_side(name: str) -> dict[str, float]:
    """Prints a case's table; each trainer's milliseconds over ours, as the median of the turns."""
    samples: dict[str, list[float]] = {trainer: [] for trainer in TRAINERS}
    for _ in range(TURNS):
        for trainer, taken in samples.items():
            taken.append(measured(trainer, name))
    lines = [[CASES[name].name, "ms a step", "over ours", "its range"]]
    ratios: dict[str, float] = {}
    for trainer, taken in samples.items():
        pairs = [theirs / own for theirs, own in zip(taken, samples["cnncalc"], strict=True)]
        ratios[trainer] = statistics.median(pairs)
        extent = f"{min(pairs):.2f} to {max(pairs):.2f}"
        lines.append([trainer, f"{statistics.median(taken):.2f}", f"{ratios[trainer]:.2f}", extent])
    print(table(lines), end="\n\n", flush=True)
    return ratios


def start_up() -> Row:
    """From the command to the end of a run of one step, over importing PyTorch alone."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(CASES["lenet"], Path(folder))
        script = f"""
import sys
from cnncalc.cli import main
sys.argv[1:] = ["train", "lenet5_wide", "--data", "mnist", "--data-dir", {folder!r},
                "--steps", "1", "--quiet", "-o", {folder!r} + f"/{{__import__('os').getpid()}}"]
main()
"""
        commands = {
            "import": [sys.executable, "-c", "import torch, torchvision"],
            "train": [sys.executable, "-c", script],
        }
        results = interleaved(commands)
    more = results["train"].seconds - results["import"].seconds
    return Row("a run of one step, seconds over import torch, torchvision", more, at_most=1.5)


def main() -> None:
    compile_package()
    rows = [start_up()]
    for name, case in CASES.items():
        ratios = side_by_side(name)
        if name == "lenet":
            rows.append(Row("the tutorial's loop, times ours", ratios["tutorial"], at_least=2.5))
        rows += [
            Row(f"{case.name}: {other}, times ours", ratios[other], at_least=1)
            for other in ("Lightning", "Keras")
        ]
    report(rows)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(*sys.argv[1:])
    else:
        main()
