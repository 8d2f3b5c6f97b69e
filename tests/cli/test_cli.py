"""The command line: specs, options, exit status, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import cnncalc_output
from support.processes import SMALL, environment, invoke, run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def parameters(*arguments: str) -> int:
    status, out, err = invoke("summarize", *arguments, "--format", "json")
    assert (status, err) == (0, "")
    total: int = json.loads(out)["totals"]["parameters"]
    return total


@pytest.mark.parametrize(
    ("spec", "total"),
    [
        ("lenet", 105_506),
        ("lenet.yaml", 105_506),
        ("resnet18", 11_689_512),
        ("resnet18.yaml", 11_689_512),
        ("small.yaml", 112),
        ("./small.yaml", 112),
    ],
)
def test_forms_of_a_spec(
    spec: str, total: int, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.parent)
    assert parameters(spec) == total


def test_absolute_path(small: Path) -> None:
    assert parameters(str(small)) == 112


@pytest.mark.parametrize("name", ["lenet", "lenet.yaml", "resnet18", "resnet18.yaml"])
def test_a_file_here_wins_over_a_bundled_network(
    name: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.rename(small.parent / name)
    monkeypatch.chdir(small.parent)
    assert parameters(name) == 112


def test_spec_from_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnncalc", "summarize", "-", "--format", "json"],
        env=environment(),
        input=SMALL.encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["totals"]["parameters"] == 112


@pytest.mark.parametrize(
    ("options", "total"),
    [
        (["--set", "width=5"], 140),
        (["--variant", "wide"], 448),
        (["--variant", "wide", "--set", "width=2"], 56),
        (["--set", "width=2", "--set", "sizes=[5]"], 152),
        (["--set", "sizes=[=width-3]"], 16),
        (["--input", "1x8x8"], 40),
        (["--input", "[1, 8, 8]"], 40),
    ],
)
def test_variations(options: list[str], total: int, small: Path) -> None:
    assert parameters(str(small), *options) == total


def test_batch_size_and_dtype() -> None:
    line = ["summarize", "lenet", "--format", "json", "--batch-size", "4", "--dtype", "float16"]
    data = json.loads(cnncalc_output(*line))
    assert (data["batch_size"], data["dtype"]) == (4, "float16")
    assert data["totals"]["multiply_adds"] == 4 * 1_333_200
    assert data["totals"]["weight_bytes"] == 2 * 105_506


def test_depth_keeps_the_totals() -> None:
    whole = json.loads(cnncalc_output("summarize", "resnet50", "--format", "json"))
    folded = json.loads(cnncalc_output("summarize", "resnet50", "--format", "json", "--depth", "1"))
    assert folded["totals"] == whole["totals"]
    assert [row["name"] for row in folded["layers"]][3:7] == [f"stage{n}" for n in range(1, 5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sumarize"], "No such command 'sumarize'"),
        (["summarize"], "Missing argument 'SPEC'"),
        (["summarize", "lenet", "--formula"], "No such option"),
        (["summarize", "lenet", "--depth", "one"], "Invalid value for '--depth'"),
        (["summarize", "lenet", "--depth", "0"], "the depth must be at least 1; received 0"),
        (["summarize", "lenet", "--format", "jsn"], "did you mean json?"),
        (["summarize", "lenet", "--columns", "params"], "unknown column 'params'"),
        (["summarize", "lenet", "--columns", ""], "no columns are named"),
        (["summarize", "lenet", "--dtype", "float3"], "unknown dtype 'float3'"),
        (["summarize", "lenet", "--batch-size", "0"], "the batch size must be"),
        (["summarize", "lenet", "--set", "classes"], "write --set classes=10"),
        (["summarize", "lenet", "--input", "big"], "write it as 3x256x256"),
        (["summarize", "lenet", "-o", "x.yaml"], "no format has the ending .yaml"),
        (["summarize", "resnet", "--variant", "resnet51"], "did you mean resnet"),
        (["summarize", "resnet", "--set", "clases=3"], "did you mean classes?"),
        (["summarize", "lenett"], "did you mean lenet"),
        (["show", "lenett"], "did you mean lenet"),
        (["show", "nothing_like_it"], "cnncalc list shows the bundled networks"),
    ],
)
def test_bad_usage_is_one_message_and_status_2(arguments: list[str], message: str) -> None:
    status, out, err = invoke(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_spec_error_reads_like_a_compilers(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "input: [3, 8, 8]\nlayers:\n  - relu\n  - conv: {out_channels: 4, kernal_size: 3}\n"
    )
    done = run("summarize", "net.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "net.yaml:4:29: conv.kernal_size: unknown field; did you mean kernel_size?",
        "      - conv: {out_channels: 4, kernal_size: 3}",
        "                                ^",
    ]


def test_shape_error_shows_the_last_rows_above_the_message(tmp_path: Path) -> None:
    layers = "\n".join(["  - relu"] * 30)
    (tmp_path / "net.yaml").write_text(f"input: [3, 8, 8]\nlayers:\n{layers}\n  - max_pool: 9\n")
    done = run("summarize", "net.yaml", cwd=tmp_path)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert lines[0].split() == ["name", "layer", "output"]
    assert [line.split() for line in lines[2:22]] == [
        [f"relu{n}", "nn.ReLU()", "3×8×8"] for n in range(11, 31)
    ]
    assert lines[22] == ""
    assert lines[23].startswith("net.yaml:33:5: max_pool1: its window of 9×9 is larger")
