"""Epochs of the two networks of L3 on a GPU, the share of its peak, and where the rest goes.

    python benchmarks/gpu.py

Random images in the numbers and shapes of MNIST and CIFAR-10, held on the device; the files' own
recipes but for a small learning rate. Each network runs with its steps as a CUDA graph and kernel
by kernel, in turn; an epoch's seconds are the median of those after the first, without checkpoints
and evaluations. Then a profile of 40 steps. Exits 1 on a miss; the bounds are for one H100.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from measure import Row, compile_package, report, table

import cnncalc
from cnncalc.training.gpu_peaks import peak_multiply_adds

EPOCHS = 5
PROFILED = 40
LISTED = 15


class Case(NamedTuple):
    """A network, the images of an epoch, and its seconds on one H100 at most."""

    name: str
    images: int
    at_most: float


CASES = {"lenet5_wide": Case("L3's LeNet", 60_000, 0.5), "vgg": Case("L3's VGG", 50_000, 1.0)}


class Trained(NamedTuple):
    """Seconds of an epoch, the share of the peak if it is known, and whether a graph was used."""

    seconds: float
    share: float | None
    graph: bool


def data(network: str, images: int) -> tuple[Any, Any]:
    """Random images (N, C, H, W) of uint8, and classes."""
    shape = cnncalc.analyze(network).input_shape
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randint(256, (images, *shape), dtype=torch.uint8, generator=generator),
        torch.arange(images) % 10,
    )


def train(network: str, of: tuple[Any, Any], settings: dict[str, Any], **options: Any) -> Trained:
    settings = {"optimizer.lr": 1e-3, **settings}
    with tempfile.TemporaryDirectory() as folder:
        run = cnncalc.train(
            network, data=of, settings=settings, output=Path(folder) / "run", **options
        )
        summary = json.loads((run.folder / "summary.json").read_text())
    ends = [float(row["seconds"]) for row in run.metrics]
    epochs = [after - before for before, after in pairwise(ends)] or ends
    seconds = statistics.median(epochs)
    rate = 3 * summary["multiply_adds"] * len(of[0]) / seconds
    return Trained(seconds, share_of_peak(rate, summary["precision"]), summary["cuda_graph"])


def share_of_peak(rate: float, precision: str) -> float | None:
    """Of multiply-adds a second; None where the peak is not known."""
    if not torch.cuda.is_available():
        return None
    peak = peak_multiply_adds(torch.cuda.get_device_name(), precision)
    return None if peak is None else rate / peak


def profile(network: str, of: tuple[Any, Any], device: str) -> None:
    """Prints what the device is busy with."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    on_gpu = device != "cpu"
    if on_gpu:
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profiler:
        train(network, of, {"steps": PROFILED}, device=device)
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    print(
        profiler.key_averages().table(
            sort_by=order, row_limit=LISTED, max_name_column_width=60, top_level_events_only=False
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, help="of an epoch, to try this out without a GPU")
    chosen = parser.parse_args()
    compile_package()
    rows, lines = [], [["network", "steps as", "epoch, s", "images/s", "share of peak"]]
    for name, case in CASES.items():
        count = chosen.images or case.images
        of = data(name, count)
        ways = (None, False) if chosen.device != "cpu" else (None,)
        for way in ways:
            found = train(name, of, {"epochs": EPOCHS}, device=chosen.device, cuda_graph=way)
            share = "" if found.share is None else f"{found.share:.1%}"
            lines.append(
                [
                    case.name,
                    "a CUDA graph" if found.graph else "kernels",
                    f"{found.seconds:.3f}",
                    f"{count / found.seconds:,.0f}",
                    share,
                ]
            )
            if way is None:
                rows.append(Row(f"{case.name}: an epoch, s", found.seconds, at_most=case.at_most))
    print(table(lines), end="\n\n", flush=True)
    for name, case in CASES.items():
        print(f"{case.name}, {PROFILED} steps")
        profile(name, data(name, chosen.images or case.images), chosen.device)
    report(rows)


if __name__ == "__main__":
    main()
