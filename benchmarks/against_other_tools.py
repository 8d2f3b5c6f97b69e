"""cnncalc against the tools that people use today: cold processes, memory, and analysis alone.

    pip install '.[train,benchmarks]'
    python benchmarks/against_other_tools.py

Each tool summarises LeNet and ResNet-152 in a process of its own, as its README shows; the runs
take turns, so that the ratios are from one machine in one state.
"""

from __future__ import annotations

import sys

from measure import Row, compile_package, interleaved, report, table

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
from cnncalc.analysis.analyze import analyze
from cnncalc.spec.loading import load
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
    rows = []
    for title, name, model in (("LeNet", "lenet", LENET), ("ResNet-152", "resnet152", RESNET)):
        commands = {tool: [python, "-c", script(model, code)] for tool, code in TOOLS.items()}
        commands["cnncalc"] = [python, "-m", "cnncalc", "summarize", name]
        commands["in process"] = [python, "-c", CNNCALC, name]
        results = interleaved(commands, runs=3)
        own = results["cnncalc"]
        analysis = {tool: _analysis(results[tool].output) for tool in (*TOOLS, "in process")}
        lines = [["tool", "cold s", "MB", "analysis s"]]
        for tool in (*TOOLS, "cnncalc"):
            result = results[tool]
            alone = analysis["in process" if tool == "cnncalc" else tool]
            cells = [f"{result.seconds:.2f}", f"{result.megabytes:.0f}", f"{alone:.4f}"]
            lines.append([tool, *cells])
        print(f"{title}\n{table(lines)}\n", flush=True)
        fastest = min(results[tool].seconds for tool in TOOLS)
        smallest = min(results[tool].megabytes for tool in TOOLS)
        ratio = min(analysis[tool] for tool in TOOLS) / analysis["in process"]
        bounded = 5 if name == "resnet152" else None
        rows += [
            Row(f"{title}: cold, times as fast", fastest / own.seconds, at_least=4),
            Row(f"{title}: memory, times as small", smallest / own.megabytes, at_least=10),
            Row(f"{title}: analysis, times as fast", ratio, at_least=bounded),
        ]
    print("cnncalc against the best of the others in each")
    report(rows)


def _analysis(output: str) -> float:
    line = next(line for line in reversed(output.splitlines()) if line.startswith("analysis"))
    return float(line.split()[1])


if __name__ == "__main__":
    main()
