"""How fast cnncalc starts and analyses, against bounds that the machine itself sets.

    python benchmarks/speed.py

Cold start: `cnncalc summarize lenet.yaml` against a script that only imports what any such tool
imports and defines one model; and `cnncalc list`, which analyses every bundled network. In process:
load, graph and analysis of ResNet-152 and of EfficientNet-B7, and of chains of written-out layers,
whose time must grow with their length and no faster. Exits 1 on a miss.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from measure import Row, compile_package, interleaved, report

import cnncalc

BASE = """
import typer, rich.table, yaml
from pydantic import BaseModel
class Model(BaseModel):
    out_channels: int
    bias: bool = True
"""
BASE_SECONDS = 0.173
"""What the base takes on the machine on which the bounds in seconds were set."""

CHAIN = """
import sys, time
import cnncalc
cnncalc.analyze("lenet")
start = time.perf_counter()
summary = cnncalc.analyze(cnncalc.load(sys.argv[1]))
assert len(summary.layers) == int(sys.argv[2])
print(time.perf_counter() - start)
"""
SIZES = (5_000, 10_000, 20_000)


def write_chain(path: Path, layers: int) -> None:
    """A file of so many written-out layers, no two neighbours alike."""
    lines = ["input: [3, 32, 32]", "layers:"]
    for index in range(layers // 2):
        lines.append(f"  - conv: {{out_channels: {8 + index % 7}, kernel_size: 3, padding: 1}}")
        lines.append("  - relu" if index % 3 else "  - batch_norm")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_process(name: str, runs: int = 30) -> float:
    """Median seconds to load, expand and analyse a bundled network."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        cnncalc.analyze(cnncalc.load(name))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    compile_package()
    python = sys.executable
    in_process("efficientnet_b7", 3)
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder) / f"{size}.yaml" for size in SIZES}
        for size, file in files.items():
            write_chain(file, size)
        cold = interleaved(
            {
                "base": [python, "-c", BASE],
                "lenet": [python, "-m", "cnncalc", "summarize", "lenet.yaml"],
            },
            runs=15,
        )
        listing = interleaved({"list": [python, "-m", "cnncalc", "list"]}, runs=5)["list"]
        resnet, efficientnet = in_process("resnet152"), in_process("efficientnet_b7")
        chains = interleaved(
            {
                str(size): [python, "-c", CHAIN, str(file), str(size)]
                for size, file in files.items()
            },
            runs=3,
        )
    base = cold["base"].seconds
    seconds = {size: float(chains[str(size)].output) for size in SIZES}
    longest, half = SIZES[-1], SIZES[-2]
    print(f"base: {base:.3f} s, {cold['base'].megabytes:.0f} MB")
    report(
        [
            Row("cold LeNet, times the base", cold["lenet"].seconds / base, at_most=1.5),
            Row("cold LeNet, MB", cold["lenet"].megabytes),
            Row("cold list of every network, s", listing.seconds, at_most=3 * base / BASE_SECONDS),
            Row("ResNet-152 in process, s", resnet, at_most=0.022 * base / BASE_SECONDS),
            Row("EfficientNet-B7 in process, s", efficientnet, at_most=0.1 * base / BASE_SECONDS),
            *(Row(f"chain of {size:,} layers, s", seconds[size]) for size in SIZES[:-1]),
            Row(f"chain of {longest:,}, s", seconds[longest], at_most=3 * base / BASE_SECONDS),
            Row("its time over that of half of it", seconds[longest] / seconds[half], at_most=2.6),
            Row("its memory, MB", chains[str(longest)].megabytes, at_most=200),
        ]
    )


if __name__ == "__main__":
    main()
