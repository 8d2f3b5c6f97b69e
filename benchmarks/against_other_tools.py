"""cnncalc against the tools that people use today: cold processes, memory, and analysis alone.

    pip install '.[train,benchmarks]'
    python benchmarks/against_other_tools.py

Each tool summarises LeNet and ResNet-152 in a process of its own, as its README shows; the runs
take turns, so that the ratios are from one machine in one state.
"""

from __future__ import annotations

import sys

from measure import compile_package, interleaved, table

LENET = """
import torch.nn as nn
model = nn.Sequential(
    nn.Conv2d(1, 32, 5), nn.MaxPool2d(3), nn.ReLU(), nn.Conv2d(32, 64, 5), nn.MaxPool2d(2),
    nn.ReLU(), nn.Flatten(), nn.Linear(256, 200), nn.ReLU(), nn.Linear(200, 10))
size = (1, 28, 28)
"""
RESNET = """
import torchvision
model = torchvision.models.resnet152()
size = (3, 224, 224)
"""
PREPARE = "import torch, time, os\nmodel.eval()\nstart = time.perf_counter()\n"
REPORT = "\nprint('\\nanalysis', time.perf_counter() - start)\n"
TOOLS = {
    "torchinfo": "import torchinfo\nprint(torchinfo.summary(model, (1, *size), verbose=0))",
    "fvcore": "from fvcore.nn import FlopCountAnalysis, flop_count_table\n"
    "print(flop_count_table(FlopCountAnalysis(model, torch.zeros(1, *size))))",
    "ptflops": "from ptflops import get_model_complexity_info\n"
    "print(get_model_complexity_info(model, size, as_strings=True, print_per_layer_stat=True))",
    "thop": "from thop import profile\n"
    "print(profile(model, (torch.zeros(1, *size),), verbose=False))",
}
CNNCALC = """
import sys, time
import cnncalc
from cnncalc.loading import analyze, load
analyze(load(sys.argv[1]))  # imports, as a model's construction is outside the others' time
start = time.perf_counter()
analyze(load(sys.argv[1])).totals
print('analysis', time.perf_counter() - start)
"""


def script(model: str, tool: str) -> str:
    """A program that summarises a model with a tool and prints how long that alone took."""
    imports, _, call = tool.partition("\n")
    return f"{imports}\n{model}{PREPARE}{call}{REPORT}"


def main() -> None:
    compile_package()
    python = sys.executable
    for title, name, model in (("LeNet", "lenet", LENET), ("ResNet-152", "resnet152", RESNET)):
        commands = {tool: [python, "-c", script(model, code)] for tool, code in TOOLS.items()}
        commands["cnncalc"] = [python, "-m", "cnncalc", "summarize", name]
        commands["cnncalc, in process"] = [python, "-c", CNNCALC, name]
        results = interleaved(commands, runs=3)
        own = results["cnncalc"]
        own_analysis = _analysis(results["cnncalc, in process"].output)
        rows = [["tool", "cold s", "ratio", "MB", "ratio", "analysis s", "ratio"]]
        for tool in TOOLS:
            result = results[tool]
            analysis = _analysis(result.output)
            rows.append(
                [
                    tool,
                    f"{result.seconds:.2f}",
                    f"{result.seconds / own.seconds:.1f}",
                    f"{result.megabytes:.0f}",
                    f"{result.megabytes / own.megabytes:.1f}",
                    f"{analysis:.3f}",
                    f"{analysis / own_analysis:.1f}",
                ]
            )
        seconds, megabytes = f"{own.seconds:.2f}", f"{own.megabytes:.0f}"
        rows.append(["cnncalc", seconds, "1.0", megabytes, "1.0", f"{own_analysis:.4f}", "1.0"])
        print(f"{title}\n{table(rows)}\n")


def _analysis(output: str) -> float:
    line = next(line for line in reversed(output.splitlines()) if line.startswith("analysis"))
    return float(line.split()[1])


if __name__ == "__main__":
    main()
