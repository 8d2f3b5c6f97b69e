"""A run that another commit began goes on here, bit for bit.

    scripts/proofs resume [COMMIT]     the one before this by itself

The other commit trains a network twice on the digits: to the end, and, after the first epoch and
again in the midst of the second, to where it is told to stop. This one goes on with the two that
stopped; their weights and metrics are then those of the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import cnncalc

ROOT = Path(__file__).resolve().parent.parent
NETWORK = {
    "name": "begun",
    "input": [1, 8, 8],
    "layers": [
        {"conv": {"out_channels": 6, "kernel_size": 3, "bias": False}},
        "batch_norm",
        "relu",
        {"dropout": 0.1},
        {"max_pool": 2},
        "flatten",
        {"linear": 10},
    ],
}
SETTINGS = {
    "epochs": 3,
    "batch_size": 64,
    "precision": "float32",
    "data.validation": 0.1,
    "ema": 0.9,
    "clip": 1.0,
    "optimizer.momentum": 0.9,
    "augment": {"crop": 1, "flip": True, "cutout": 2, "mixup": 0.2},
}
BEGIN = """
import json, os, signal, sys
import cnncalc

network, settings, folder = map(json.loads, sys.argv[1:])
options = {"settings": settings, "device": "cpu"}
cnncalc.train(network, output=f"{folder}/whole", **options)
cnncalc.train(network, output=f"{folder}/an epoch", callback=lambda row: False, **options)


class Stop:
    def __getattr__(self, name):
        return lambda *_, **__: None

    def step(self, step, *_):
        if step > 30:
            os.kill(os.getpid(), signal.SIGTERM)


try:
    from cnncalc.training.step import loop
except ImportError:
    from cnncalc.training import loop
loop.LOOK_EVERY = 1
assert not cnncalc.train(network, output=f"{folder}/in one", progress=Stop(), **options).finished
print(cnncalc.__file__)
"""


def tensors(folder: Path) -> dict[str, Any]:
    state = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    return dict(state["model"]) | {
        f"average {number}": weight for number, weight in enumerate(state["average"]["weights"])
    }


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in row if "second" not in key} for row in lines]


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        other, runs = Path(place, "other"), Path(place, "runs")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(other), commit], check=True)
        try:
            given = [json.dumps(each) for each in (NETWORK, SETTINGS, str(runs))]
            command = [sys.executable, "-c", BEGIN, *given]
            environment = {**os.environ, "PYTHONPATH": str(other)}
            begun = subprocess.run(
                command, cwd=place, env=environment, check=True, capture_output=True, text=True
            )
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)
        assert begun.stdout.strip().startswith(str(other)), begun.stdout
        whole, figures = tensors(runs / "whole"), rows(runs / "whole")
        for name in ("an epoch", "in one"):
            begun_at = torch.load(runs / name / "checkpoints" / "last.pt", weights_only=True)[
                "step"
            ]
            run = cnncalc.resume(runs / name)
            assert run.finished
            ours = tensors(runs / name)
            same = ours.keys() == whole.keys() and all(
                torch.equal(ours[key], value) for key, value in whole.items()
            )
            assert same, f"{name}: other weights"
            assert rows(runs / name) == figures, f"{name}: other metrics"
            print(f"begun by {commit}, resumed at step {begun_at}: {len(whole)} tensors,", end=" ")
            print(f"{len(figures)} rows, the same to the last bit")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["HEAD~1"]))
