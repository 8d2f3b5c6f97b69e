"""A table is on screen before PyTorch could even be loaded: nothing here imports it, or NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT

import cnncalc
from cnncalc.render import FORMATS, render

HEAVY = {"torch", "torchvision", "numpy", "sklearn", "scipy", "pandas", "matplotlib", "PIL"}
COMMANDS = {
    "summarize": ["summarize", "lenet.yaml"],
    "lecture": ["summarize", "resnet50", "--columns", "lecture", "--depth", "2"],
    "formulas": ["summarize", "googlenet", "--formulas"],
    "list": ["list", "lenet"],
    "show": ["show", "resnet152"],
    "schema": ["schema"],
    "help": ["summarize", "--help"],
    "help of export": ["export", "--help"],
    "help of import": ["import", "--help"],
    "help of evaluate": ["evaluate", "--help"],
    "help of predict": ["predict", "--help"],
    "help of plot": ["plot", "--help"],
    "runs": ["runs", str(ROOT)],
    "source": ["export", "resnet18", "-"],
}


def loaded_after(
    commands: dict[str, list[str]], path: Path | None = None, first: str = ""
) -> dict[str, set[str]]:
    """Names of the modules in a child process after each command, which it runs in turn."""
    script = f"""
import json, sys
{first}
from cnncalc.cli import main
loaded = {{}}
for name, arguments in {commands!r}.items():
    sys.argv = ["cnncalc", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    loaded[name] = sorted(sys.modules)
print("\\n" + json.dumps(loaded))
"""
    places = [str(place) for place in (path, ROOT) if place]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")
    loaded = {
        name: {*modules} for name, modules in json.loads(done.stdout.splitlines()[-1]).items()
    }
    assert all("cnncalc.cli" in modules for modules in loaded.values())
    return loaded


def loaded_by(*arguments: str, path: Path | None = None, first: str = "") -> set[str]:
    return loaded_after({"it": [*arguments]}, path, first)["it"]


def test_no_command_loads_torch_or_numpy() -> None:
    loaded = loaded_after(COMMANDS)
    found = {name: modules & HEAVY for name, modules in loaded.items()}
    assert found == {name: set() for name in COMMANDS}


@pytest.mark.parametrize("heavy", ["torch", "numpy"])
def test_the_test_above_can_fail(heavy: str, tmp_path: Path) -> None:
    (tmp_path / heavy).mkdir()
    (tmp_path / heavy / "__init__.py").touch()
    (tmp_path / "sitecustomize.py").write_text(f"import {heavy}\n")

    assert loaded_by("summarize", "lenet.yaml", path=tmp_path) & HEAVY == {heavy}


def test_a_layer_that_loads_torch_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()
    sabotage = """
from cnncalc.layers.base import Layer

class Sly(Layer):
    kind = "sly"

    def build(self, nn, x):
        import torch

        return nn.Sly()
"""
    spec = tmp_path / "sly.yaml"
    spec.write_text("input: [3, 8, 8]\nlayers: [relu, sly]\n")

    assert loaded_by("summarize", str(spec), path=tmp_path, first=sabotage) & HEAVY == {"torch"}


@pytest.mark.parametrize("asked", FORMATS)
def test_only_the_rendering_that_is_asked_for_is_loaded(asked: str) -> None:
    loaded = loaded_by("summarize", "lenet.yaml", "--format", asked)

    assert {name for name in FORMATS if f"cnncalc.render.{name}" in loaded} == {asked}


def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    loaded = loaded_by("show", "lenet")

    assert "cnncalc.cli.networks" in loaded
    assert not {"cnncalc.cli.summarize", "cnncalc.cli.train", "cnncalc.training"} & loaded


def test_import_of_the_package_loads_nothing_of_others() -> None:
    script = """
import sys
before = set(sys.modules)
import cnncalc
print(*{name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, encoding="utf-8", cwd=ROOT
    )

    assert done.stdout.split() == ["cnncalc"]


def test_analysis_works_where_torch_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HEAVY:
        monkeypatch.setitem(sys.modules, name, None)

    summary = cnncalc.analyze("lenet")

    assert summary.totals.parameters == 105_506
    for name in FORMATS:
        assert "conv2" in render(summary, name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "lenet"),
        ("train", "--resume", "run"),
        ("evaluate", "run"),
        ("predict", "run", "a.png"),
        ("verify", "lenet"),
        ("export", "lenet", "lenet.pt2"),
        ("import", "torchvision:resnet18"),
    ],
)
def test_commands_without_pytorch_say_how_to_install_it(arguments: tuple[str, ...]) -> None:
    script = (
        "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None\n"
        "from cnncalc.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "needs PyTorch: pip install torch torchvision" in done.stderr


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("build('lenet')", "build"),
        ("export('lenet', 'lenet.onnx')", "export to .onnx"),
        ("analyze_module(None, (3, 8, 8))", "analyze_module"),
    ],
)
def test_building_without_pytorch_says_how_to_install_it(call: str, what: str) -> None:
    script = f"import sys; sys.modules['torch'] = None; import cnncalc; cnncalc.{call}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(f"{what} needs PyTorch: pip install torch torchvision")
