"""What each process of test_processes.py does; what it saw goes to <folder>/<rank>.json."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sklearn.datasets  # noqa: F401 - as does the next: before the fork
import torch
import torch._dynamo
from torch.utils.data import Dataset

import cnncalc
from cnncalc.training import train as api
from cnncalc.training.processes.processes import in_environment
from cnncalc.training.step.evaluation import Evaluator
from cnncalc.training.step.learner import Learner
from support import conv, network

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYERS = [conv(6, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
NET = network([1, 8, 8], *LAYERS, {"linear": 10}, name="joint")
DROPOUT = network(
    [1, 8, 8],
    conv(6, 3, bias=False),
    {"channel_dropout": 0.2},
    "batch_norm",
    {"dropout": 0.1},
    {"stochastic_depth": {"p": 0.1}},
    *LAYERS[2:],
    {"dropout": 0.3},
    {"linear": 10},
    name="drops",
)
AUGMENT = {"crop": 1, "flip": True, "cutout": 2, "color_jitter": 0.2, "mixup": 0.2, "cutmix": 1.0}
EXACT = {"precision": "float32"}
RUNS: dict[str, dict[str, Any]] = {
    # 1,295 samples in batches of 65 end in one of 60; 143 and 359 are evaluated.
    "rich": {
        **EXACT,
        "steps": 50,
        "batch_size": 65,
        "data.validation": 0.1,
        "loss.label_smoothing": 0.1,
        "clip": 1.0,
        "ema": 0.9,
        "augment": AUGMENT,
    },
    # Batches of 8 in parts of 3, 3 and 2; 25 samples end in a batch of one.
    "parts": {**EXACT, "steps": 12, "batch_size": 8, "accumulate": 3, "augment.crop": 1},
    "stream": {**EXACT, "steps": 5, "batch_size": 8, "augment.flip": True},
    "apart": {"steps": 3, "batch_size": 8, "sync_batch_norm": False},
    "drops": {**EXACT, "steps": 50, "batch_size": 65},
    "drops in parts": {**EXACT, "steps": 12, "batch_size": 8, "accumulate": 3},
    "rounded": {"precision": "bfloat16", "steps": 50, "batch_size": 65},
}
QUICK = ("rich", "drops in parts")
"""All that the quick tier runs; both are cut by a signal as well."""
OF_ARRAYS = ("parts", "apart", "drops in parts")
CUT = {"steps": 100, "batch_size": 64}
"""Settings of the runs of DROPOUT: 22.5 batches an epoch."""
SHORT = {"rich": 24, "drops": 12, "rounded": 24, "cut": 45}
"""Steps of these in the quick tier: beyond the end of an epoch, and of a signal at step 31."""


def settings_of(name: str, *, long: bool) -> dict[str, Any]:
    whole = CUT if name == "cut" else RUNS[name]
    return whole if long or name not in SHORT else {**whole, "steps": SHORT[name]}


class Items(Dataset[tuple[torch.Tensor, int]]):
    """Items that are asked for one by one, so that they stream."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(count)
        self.images = torch.randint(256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
        self.labels = torch.arange(count) % 10

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], int(self.labels[index])


def data_of(name: str) -> Any:
    train, test = Items(25), Items(7)
    if name == "stream":
        return {"train": train, "test": test}
    if name in OF_ARRAYS:
        return {"train": (train.images, train.labels), "test": (test.images, test.labels)}
    return None


def evaluated(name: str, folder: Path, *, long: bool) -> list[list[int]]:
    """Trains; samples that each evaluation says it counted, and those in its confusion matrix."""
    counts = []
    evaluate = Evaluator.figures
    spec = DROPOUT if name.startswith("drops") else NET
    settings = settings_of(name, long=long)

    def noted(*given: Any) -> Any:
        figures = evaluate(*given)
        counts.append([figures.samples, int(figures.confusion.sum())])
        return figures

    Evaluator.figures = noted  # type: ignore[method-assign]
    try:
        api.train(spec, data=data_of(name), output=folder, settings=settings, device="cpu")
    finally:
        Evaluator.figures = evaluate  # type: ignore[method-assign]
    return counts


def interrupted(folder: Path, rank: int, *, long: bool) -> list[Any]:
    """A signal to the second process alone, then the rest of the run."""
    settings = settings_of("cut", long=long)
    api.train(DROPOUT, output=folder / "whole", settings=settings, device="cpu")
    learn = Learner.learn

    def until(self: Learner, batch: Any) -> None:
        learn(self, batch)
        if rank == 1 and self.step == 31:
            os.kill(os.getpid(), signal.SIGTERM)

    Learner.learn = until  # type: ignore[method-assign]
    run = api.train(DROPOUT, output=folder / "cut", settings=settings, device="cpu")
    Learner.learn = learn  # type: ignore[method-assign]
    again = api.resume(folder / "cut")
    kinds = [type(module).__name__ for module in again.model.modules()]
    return [run.finished, run.signal, again.finished, "BatchNorm2d" in kinds]


def message(**options: Any) -> str:
    try:
        api.train(NET, device="cpu", **options)
    except cnncalc.CnncalcError as error:
        return f"{error.process}: {error}"
    return ""


def main(folder: Path, names: Iterable[str], *, long: bool) -> None:
    rank = in_environment().rank
    wrong = ["nothing"] if rank == 1 else data_of("parts")
    saw = {
        "evaluated": {name: evaluated(name, folder / name, long=long) for name in names},
        "interrupted": interrupted(folder, rank, long=long),
        "wrong in one": message(data=wrong),
        "taken": message(output=folder / "rich"),
        "not finite": message(settings={"optimizer.lr": 1e20}, output=folder / "wild"),
    }
    (folder / f"{rank}.json").write_text(json.dumps(saw), encoding="utf-8")


def in_two_processes(folder: Path, names: Iterable[str]) -> None:
    """As torchrun starts them, but forked once PyTorch is imported, which takes each seconds.

    In the exhaustive tier torchrun itself starts them, and they train longer.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "job"}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    children = []
    for rank in ("0", "1"):
        child = os.fork()
        if not child:
            os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
            main(folder, names, long=False)
            return
        children.append(child)
    agent = torch.distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    for _ in children:
        ended, status = os.wait()
        if status:  # the other would wait for it
            os.kill(next(child for child in children if child != ended), signal.SIGKILL)
            sys.exit(f"process {children.index(ended)} ended with {status}")
    del agent


if __name__ == "__main__":
    if in_environment().count > 1:
        main(Path(sys.argv[1]), RUNS, long=True)
    else:
        in_two_processes(Path(sys.argv[1]), sys.argv[2:])
