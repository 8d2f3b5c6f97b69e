"""No file can hang or exhaust the machine: bombs of every kind end in one message, soon and small.

The dozen that run in a process of their own are measured: 300 MB. Time is not, for it is the
machine's; what would hang ends at a limit that no message comes near.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import by_tier
from support.places import ROOT

import cnncalc
from cnncalc.analysis import analyze
from cnncalc.errors import LimitError, SpecError
from cnncalc.network import context, expansion, names
from cnncalc.spec import architecture, arithmetic, expressions, limits, text, words, yaml

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "input: [3, 12, 12]\n"
MEGABYTES = 300
HANGS = 300
"""Seconds by the clock: a message takes one, and some on a machine that others use."""

MEASURED = """
import resource, sys
report = sys.argv.pop(1)
from cnncalc.cli import main
try:
    main()
finally:
    try:
        with open("/proc/self/status") as status:
            peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with open(report, "w") as file:
        print(peak / 1024, file=file)
"""


def nested(depth: int, inside: str, before: str = "layers: ") -> str:
    """A list within a group within a list …"""
    return f"{f'[{{{before}' * depth}{inside}{'}]' * depth}"


def parameters(count: int, value: str) -> str:
    return "{" + ", ".join(f"p{number}: {value}" for number in range(count)) + "}"


def alias_bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n} '] * 10)}]" for n in range(20)]
    return "\n".join(lines)


NUMBERS = f"[{', '.join(map(str, range(250)))}]"

BOMBS: dict[str, tuple[str, str]] = {
    "an alias bomb": (alias_bomb(), "holds over 400,000 values, counting what its aliases stand"),
    "lists 10,000 deep": (HEAD + "layers: " + "[" * 10_000, "is nested over 300 deep"),
    "mappings 2,000 deep": (
        "\n".join(" " * depth + "a:" for depth in range(2_000)),
        "is nested over 300 deep",
    ),
    "a value 100 deep": (
        f"{HEAD}layers:\n  - conv: {{out_channels: {'[' * 100}1{']' * 100}, kernel_size: 1}}",
        "must be an integer of at least 1; received [[[[",
    ),
    "groups 100 deep": (f"{HEAD}layers: {nested(100, '[relu]')}", "scopes are nested over 64 deep"),
    "residuals 100 deep": (
        f"{HEAD}layers: {nested(100, '[relu]', 'residual: ')}",
        "scopes are nested over 64 deep",
    ),
    "repeats of nothing, 50 deep": (
        f"{HEAD}layers: [{{repeat: 25000, layers: {nested(50, '[]')}}}]",
        "the network repeats over 50,000 items",
    ),
    "repeats that double": (
        f"{HEAD}layers: {nested(40, '[relu]', 'repeat: 2, layers: ')}",
        "the network repeats over 50,000 items",
    ),
    "branches repeated": (
        f"{HEAD}layers: [{{repeat: 24000, add: [{'[], ' * 10_000}[]]}}]",
        "the network repeats over 50,000 items",
    ),
    "layers written out": (f"{HEAD}layers: [{'relu, ' * 26_000}relu]", "has over 25,000 layers"),
    "values written out": (f"{HEAD}layers: [{'a,' * 450_000}a]", "holds over 400,000 values"),
    "a file of 5 MiB": (HEAD + "#" * (5 * 2**20), "is larger than 4 MiB: not a spec"),
    "a key of a megabyte": (
        f"{HEAD}layers: [relu]\n? {'a' * 2**20}\n: 1",
        "spec.yaml:3:3: aaaaaaaa",
    ),
    "a layer of a megabyte": (f"{HEAD}layers: [{'a' * 2**20}]", "unknown layer 'aaaaaaaa"),
    "two long words to compare": (
        f"{HEAD}blocks: {{? {'ab' * 50_000}\n: {{layers: [relu]}}}}\nlayers: [{'ab' * 50_000}c]",
        "is over 100 characters long",
    ),
    "a name of 101 characters": (
        f"{HEAD}layers: [{{name: {'n' * 101}, relu: }}]",
        "name: a name of over 100 characters",
    ),
    "names of names of names": (
        HEAD + "layers: " + nested(20, "[relu]", f"name: {'n' * 90}, layers: "),
        "its name is over 1,000 characters long",
    ),
    "an expression of 1,001 characters": (
        f"{HEAD}layers: [{{dropout: ={'0' * 1_001}}}]",
        "an expression of over 1000 characters",
    ),
    "an expression 60 deep": (
        f"{HEAD}layers: [{{dropout: '={'(0+' * 60}0{')' * 60}'}}]",
        "is nested over 50 deep",
    ),
    "brackets without end": (
        f"{HEAD}layers: [{{dropout: '={'(' * 900}'}}]",
        "has unbalanced brackets",
    ),
    "signs without end": (f"{HEAD}layers: [{{dropout: '={'-' * 990}1'}}]", "dropout.p: '=-----"),
    "a parameter of 300 numbers": (
        f"{HEAD}parameters: {{a: [{'1, ' * 300}1]}}\nlayers: [relu]",
        "the list or text is too long",
    ),
    "300 parameters": (
        f"{HEAD}parameters: {parameters(300, '1')}\nlayers: [relu]",
        "parameters: over 256 parameters",
    ),
    "a list of 20,000 channels": (
        f"{HEAD}layers: [{{select: [{'0, ' * 20_000}0]}}]",
        "a list of over 10,000 values",
    ),
    "a list of 20,000 kernels": (
        f"{HEAD}layers: [{{max_pool: [{'x, ' * 20_000}x]}}]",
        "a list of over 10,000 values",
    ),
    "long lists repeated": (
        f"{HEAD}layers: [{{repeat: 24000, select: [{'0, ' * 9_000}0]}}]",
        "work out too many expressions, lists and names",
    ),
    "arguments repeated": (
        f"{HEAD}blocks: {{b: {{parameters: {parameters(250, '1')}, layers: [relu]}}}}\n"
        f"layers: [{{repeat: 20000, b: {parameters(250, f'[=index, {NUMBERS[200:]}')}}}]",
        "work out too many expressions, lists and names",
    ),
    "defaults repeated": (
        f"{HEAD}blocks: {{b: {{parameters: {parameters(250, '=index')}, layers: [relu]}}}}\n"
        "layers: [{repeat: 20000, b: }]",
        "work out too many expressions, lists and names",
    ),
    "inputs repeated": (
        f"{HEAD}layers: [relu, {{repeat: 24000, add: {{}}, inputs: [{'relu1, ' * 9_000}relu1]}}]",
        "work out too many expressions, lists and names",
    ),
    "names to search among 24,999": (
        f"{HEAD}layers: [{{repeat: 24999, relu: }}, {{add: {{}}, inputs: [input, reluu]}}]",
        "'reluu' names no earlier node",
    ),
}


MEASURED_ALONE = (
    "an alias bomb",
    "lists 10,000 deep",
    "a value 100 deep",
    "groups 100 deep",
    "repeats of nothing, 50 deep",
    "branches repeated",
    "a file of 5 MiB",
    "a layer of a megabyte",
    "an expression 60 deep",
    "a list of 20,000 kernels",
    "inputs repeated",
    "names to search among 24,999",
)
"""Those that run in a process of their own."""
SOON_ALONE = (
    *("an alias bomb", "lists 10,000 deep", "groups 100 deep", "a file of 5 MiB"),
    *("inputs repeated", "names to search among 24,999"),
)
"""Those that do so in the quick tier; the others run there beside what else is tested."""
LONG = (
    *("defaults repeated", "repeats of nothing, 50 deep", "repeats that double"),
    "values written out",
)
"""Bounds that another of these reaches as well, and sooner."""


def spec_file(text: str, folder: Path) -> Path:
    file = folder / "spec.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", by_tier(BOMBS, *({*BOMBS} - {*SOON_ALONE, *LONG})))
def test_bomb(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, message = BOMBS[name]
    spec_file(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(cnncalc.CnncalcError) as raised:
        cnncalc.analyze("spec.yaml")
    assert message in str(raised.value)
    assert len(str(raised.value)) < 1_000


def measured(file: Path, *arguments: str) -> tuple[int, str, float]:
    """Status, message, and megabytes at the peak."""
    report = file.parent / "report"
    child = subprocess.run(
        [sys.executable, "-c", MEASURED, str(report), "summarize", str(file), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=HANGS,
    )
    assert child.stdout == ""
    assert "Traceback" not in child.stderr
    return child.returncode, child.stderr, float(report.read_text())


@pytest.mark.parametrize("name", by_tier(MEASURED_ALONE, *SOON_ALONE))
def test_bomb_in_a_process_of_its_own(name: str, tmp_path: Path) -> None:
    text, message = BOMBS[name]
    status, err, megabytes = measured(spec_file(text, tmp_path))
    assert status == 2
    assert message in err
    assert megabytes < MEGABYTES


def test_the_measure_sees_memory(tmp_path: Path) -> None:
    """A gigabyte would be seen: a known amount is."""
    work = "kept = bytearray(400 * 2**20); kept[::4096] = b'x' * 102400\n"
    report = tmp_path / "report"
    large = MEASURED.replace("    main()\n", f"    {work}")
    subprocess.run(
        [sys.executable, "-c", large, str(report)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert float(report.read_text()) > 400


def cycle() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [None] * 10**6, "hold over 400,000 values"),
        (cycle, "nested over 300 deep"),
        (lambda: 10**5_000, "a number of over 60 digits"),
        (lambda: {1: 2}, "a key must be text; received 1"),
        (object, "data of the type object"),
        (lambda: {1, 2}, "data of the type set"),
    ],
    ids=["many values", "a cycle", "a long number", "a number as a key", "an object", "a set"],
)
def test_data_of_python(make: Callable[[], object], message: str) -> None:
    """Data handed over in Python are held to what a file may hold."""
    with pytest.raises(SpecError, match=message):
        cnncalc.analyze({"input": [3], "layers": [{"linear": make()}]})


def test_tuples_and_whole_numbers_of_python() -> None:
    class Whole(int):
        """A stranger's integer, as numpy's are."""

    spec = {"input": (Whole(3), 8, 8), "layers": ({"conv": {"out_channels": 4, "kernel_size": 3}},)}
    assert cnncalc.analyze(spec).output_shape == (4, 6, 6)


def test_limits_are_limit_errors() -> None:
    with pytest.raises(LimitError):
        cnncalc.analyze({"input": [3], "layers": [{"repeat": 25_001, "relu": None}]})
    summary = cnncalc.analyze({"input": [3], "layers": [{"repeat": 25_000, "relu": None}]})
    assert len(summary.layers) == 25_000


BOUNDS = {
    "25,000 layers": limits.MAX_NODES == 25_000,
    "scopes 64 deep": names.MAX_DEPTH == 64,
    "an axis below 2³¹": limits.MAX_AXIS == 2**31,
    "a tensor or weight below 2⁵³ numbers": limits.MAX_ELEMENTS == 2**53,
    "a file of at most 4 MiB and 400,000 values": (text.MAX_BYTES, yaml.MAX_VALUES)
    == (4 * 2**20, 400_000),
    "nested at most 300 deep": yaml.MAX_DEPTH == 300,
    "names of up to 100 letters": words.MAX_NAME == 100,
    "256 parameters each of up to 256": (architecture.MAX_PARAMETERS, arithmetic.MAX_LENGTH)
    == (256, 256),
    "expressions of up to 1,000 characters": expressions.MAX_TEXT == 1000,
    "numbers of up to 10³⁰": arithmetic.MAX_MAGNITUDE == 10**30,
    "lists of up to 10,000 values": context.MAX_LIST == 10_000,
}
"""Each bound as docs/format.md states it, and whether the code has it."""


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_is_what_the_documentation_says(bound: str) -> None:
    page = " ".join((ROOT / "docs" / "format.md").read_text(encoding="utf-8").split())
    assert bound in page
    assert BOUNDS[bound]


def test_bounds_that_no_page_states() -> None:
    """Work that items may repeat, and intervals of receptive fields that one analysis may list."""
    assert (expansion.MAX_STEPS, context.MAX_WORK) == (50_000, 1_000_000)
    assert analyze.MAX_LISTED_UNITS == 4_194_304
