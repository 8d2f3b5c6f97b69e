"""How fast cnncalc starts and analyses: ratios to bounds that the machine itself sets.

    python benchmarks/speed.py

Cold start: `cnncalc summarize lenet.yaml` against a script that only imports what any such tool
imports and defines one model. In process: load, graph and analysis of ResNet-152, and of chains
of written-out layers, whose time must grow with their length and no faster.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from measure import compile_package, interleaved, table

import cnncalc

BASE = """
import typer, rich.table, yaml
from pydantic import BaseModel
class Model(BaseModel):
    out_channels: int
    bias: bool = True
"""

CHAIN = """
import resource, sys, time
import cnncalc
from cnncalc.loading import analyze, load
cnncalc.analyze("lenet")
start = time.perf_counter()
summary = analyze(load(sys.argv[1]))
assert len(summary.layers) == int(sys.argv[2])
print(time.perf_counter() - start)
"""


def write_chain(path: Path, layers: int) -> None:
    """A file of so many written-out layers, no two neighbours alike."""
    lines = ["input: [3, 32, 32]", "layers:"]
    for index in range(layers // 2):
        lines.append(f"  - conv: {{out_channels: {8 + index % 7}, kernel_size: 3, padding: 1}}")
        lines.append("  - relu" if index % 3 else "  - batch_norm")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_process(runs: int = 30) -> float:
    """Median seconds to load, expand and analyse ResNet-152."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        cnncalc.analyze(cnncalc.load("resnet152"))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    compile_package()
    python = sys.executable
    cnncalc.analyze(cnncalc.load("resnet152"))
    with tempfile.TemporaryDirectory() as folder:
        sizes = (5_000, 10_000, 20_000)
        files = {size: Path(folder) / f"{size}.yaml" for size in sizes}
        for size, file in files.items():
            write_chain(file, size)
        cold = interleaved(
            {
                "base": [python, "-c", BASE],
                "cnncalc": [python, "-m", "cnncalc", "summarize", "lenet.yaml"],
            },
            runs=11,
        )
        resnet = in_process()
        chains = interleaved(
            {
                str(size): [python, "-c", CHAIN, str(file), str(size)]
                for size, file in files.items()
            },
            runs=3,
        )
    base = cold["base"].seconds
    rows = [["what", "seconds", "of the base", "MB"]]
    for name, result in (
        ("base: imports and one model", cold["base"]),
        ("cold LeNet", cold["cnncalc"]),
    ):
        ratio = result.seconds / base
        rows.append([name, f"{result.seconds:.3f}", f"{ratio:.2f}", f"{result.megabytes:.0f}"])
    rows.append(["ResNet-152 in process", f"{resnet:.4f}", f"{resnet / base:.3f}", ""])
    for size in sizes:
        result = chains[str(size)]
        seconds = float(result.output)
        rows.append(
            [
                f"chain of {size:,} layers",
                f"{seconds:.2f}",
                f"{seconds / base:.1f}",
                f"{result.megabytes:.0f}",
            ]
        )
    print(table(rows))


if __name__ == "__main__":
    main()
