"""Layers of other packages: found by their entry points, good for all that ours are good for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.places import ROOT

import cnncalc
import cnncalc.layers
from cnncalc.layers.base import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "own_layers.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def install(folder: Path, name: str = "fancy-layers", module: str = BLOCKS["python"]) -> Path:
    """What pip leaves behind of the page's package, or of one like it."""
    project = tomllib.loads(BLOCKS["toml"])
    points = project["project"]["entry-points"]["cnncalc.layers"]
    about = folder / f"{name.replace('-', '_')}-{project['project']['version']}.dist-info"
    about.mkdir(parents=True)
    version = project["project"]["version"]
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    own = {entry: name.replace("-", "_") for entry in points}
    lines = "".join(f"{entry} = {target}\n" for entry, target in own.items())
    (about / "entry_points.txt").write_text(f"[cnncalc.layers]\n{lines}")
    (folder / f"{name.replace('-', '_')}.py").write_text(module, encoding="utf-8")
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder that it finds packages in."""
    places = [str(folder), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def cnncalc_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "cnncalc", *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the page's package and its spec."""
    (tmp_path / "gated.yaml").write_text(BLOCKS["yaml"], encoding="utf-8")
    return install(tmp_path)


def test_the_page_says_what_the_module_and_the_package_are_called() -> None:
    assert BLOCKS["python"].startswith("# fancy_layers.py\n")
    points = tomllib.loads(BLOCKS["toml"])["project"]["entry-points"]
    assert points == {"cnncalc.layers": {"fancy": "fancy_layers"}}


def test_it_is_tabulated_and_in_the_schema(folder: Path) -> None:
    done = cnncalc_in(folder, "summarize", "gated.yaml", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    row = json.loads(done.stdout)["layers"][-1]
    assert (row["kind"], row["layer"]) == ("glu", "nn.GLU(dim=1)")
    assert row["output_shape"] == [4, 6, 6]
    schema = json.loads(cnncalc_in(folder, "schema").stdout)
    assert schema["definitions"]["glu"]["description"].startswith("Half of the channels")
    # Everything else of the schema is what it is without the package.
    (folder / "empty").mkdir()
    without = json.loads(cnncalc_in(folder / "empty", "schema").stdout)
    assert schema["definitions"].keys() - without["definitions"].keys() == {"glu"}


CHILD = """
import json
import cnncalc

network = cnncalc.load("gated.yaml")
model = cnncalc.build(network, seed=0)
cnncalc.export(network, "gated.py")
print(json.dumps({
    "modules": [type(module).__name__ for module in model.children()],
    "ok": cnncalc.verify(network, quick=True).ok,
}))
"""


@pytest.mark.exhaustive
def test_it_is_built_verified_and_exported(folder: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    done = python(folder, "-c", CHILD)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found == {"modules": ["Conv2d", "GLU"], "ok": True}
    source = (folder / "gated.py").read_text(encoding="utf-8")
    assert "nn.GLU(dim=1)" in source
    assert "fancy" not in source


MISTAKES = """
import cnncalc

for layer in ("glue", "gated_linear_unit", {"glu": {"dim": 1}}, "glu"):
    try:
        cnncalc.analyze({"input": [3, 8, 8], "layers": [layer]})
    except cnncalc.SpecError as error:
        print(error)
"""


def test_its_mistakes_are_explained_as_those_of_ours(folder: Path) -> None:
    assert python(folder, "-c", MISTAKES).stdout.splitlines() == [
        "unknown layer 'glue'; did you mean glu?",
        "unknown layer 'gated_linear_unit'; did you mean glu?",
        "glu.dim: unknown field",
        "glu1: its 3 channels cannot be halved",
    ]


def test_a_block_of_that_name_wins(folder: Path) -> None:
    """A file means the same wherever it is read."""
    spec = f"{BLOCKS['yaml']}blocks: {{glu: {{layers: [relu]}}}}\n"
    (folder / "gated.yaml").write_text(spec, encoding="utf-8")
    done = cnncalc_in(folder, "summarize", "gated.yaml", "--format", "json")
    assert [row["kind"] for row in json.loads(done.stdout)["layers"]] == ["conv", "relu"]


TAKEN = BLOCKS["python"].replace('kind = "glu"', 'kind = "gelu"')


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'"),
        pytest.param("def f(:\n", "SyntaxError: ", marks=pytest.mark.exhaustive),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        (TAKEN, "TypeError: Glu: kind 'gelu' is taken by cnncalc.layers.activation.Gelu"),
        pytest.param(
            BLOCKS["python"].replace('"glu"', '"g-lu"'),
            "TypeError: Glu: kind 'g-lu' is no identifier",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, module: str, reason: str) -> None:
    (tmp_path / "gated.yaml").write_text(BLOCKS["yaml"], encoding="utf-8")
    install(tmp_path, "broken-layers", module)
    done = cnncalc_in(tmp_path, "summarize", "gated.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    start = "broken-layers 1.2 adds layers that cannot be loaded, fancy = broken_layers: "
    assert done.stderr.startswith(f"{start}{reason}")
    assert done.stderr.count("\n") == 1
    assert "update the package, or uninstall it" in done.stderr


def test_what_needs_no_package_works_where_one_is_broken(tmp_path: Path) -> None:
    """And where one prints, no output is mixed with it."""
    install(tmp_path, "broken-layers", "raise OSError\n")
    assert cnncalc_in(tmp_path, "summarize", "resnet18").returncode == 0
    (tmp_path / "broken_layers.py").write_text(f"print('hello')\n{BLOCKS['python']}")
    done = cnncalc_in(tmp_path, "schema")
    assert done.stderr == "hello\n"
    assert "glu" in json.loads(done.stdout)["definitions"]


TWICE = """
import cnncalc
from cnncalc.layers import registry

for _ in range(2):
    try:
        registry()
    except cnncalc.UsageError as error:
        print(error)
"""


def test_a_package_that_fails_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    install(tmp_path, "broken-layers", f"{BLOCKS['python']}\nraise OSError('no disk')\n")
    done = python(tmp_path, "-c", TWICE)
    first, second = done.stdout.splitlines()
    assert first == second
    assert "OSError: no disk" in first


def test_of_two_packages_with_one_kind_the_second_is_refused(folder: Path) -> None:
    install(folder, "other-layers")
    done = cnncalc_in(folder, "schema")
    assert done.returncode == 2
    assert re.search(r"^\w+-layers 1.2 adds .*kind 'glu' is taken by \w+_layers.Glu", done.stderr)


WITHOUT = """
import importlib.metadata
found = importlib.metadata.entry_points

def looked_for(group):
    if group == "cnncalc.layers":
        raise AssertionError("packages are looked for")
    return found(group=group)  # pydantic's own

importlib.metadata.entry_points = looked_for
import sys
from cnncalc.cli import main
sys.argv = ["cnncalc", *sys.argv[1:]]
main()
"""


def test_a_table_of_our_layers_looks_for_no_package(tmp_path: Path) -> None:
    """To look for packages takes as long as a tenth of it; blocks have names of their own."""
    done = python(tmp_path, "-c", WITHOUT, "summarize", "resnet18")
    assert (done.returncode, done.stderr) == (0, "")
    assert "packages are looked for" in python(tmp_path, "-c", WITHOUT, "schema").stderr


def test_the_names_for_authors() -> None:
    names: dict[str, Any] = {name: getattr(cnncalc.layers, name) for name in cnncalc.layers.__all__}
    assert names["Windowed"].window
    with pytest.raises(AttributeError, match="no attribute 'windowed'"):
        _ = cnncalc.layers.windowed


class TestTheClassByItself:
    """It is a layer as soon as it is defined, in a notebook too."""

    @pytest.fixture
    def glu(self) -> Iterator[Any]:
        names: dict[str, Any] = {"__name__": "fancy_layers"}
        exec(compile(BLOCKS["python"], "own_layers.md", "exec"), names)
        yield names["Glu"]
        del REGISTRY["glu"]

    def test_it_is_in_every_table(self, glu: Any) -> None:
        data = {
            "input": [8, 6, 6],
            "layers": [{"conv": {"out_channels": 4, "kernel_size": 3}}, "glu"],
        }
        row = cnncalc.analyze(data).layers[1]
        assert (row.name, row.kind, row.layer) == ("glu1", "glu", "nn.GLU(dim=1)")
        assert (row.output_shape, row.flops) == ((2, 4, 4), 2 * 2 * 4 * 4)
        assert row.receptive_field.size == (3, 3)

    def test_it_is_in_the_schema_and_in_suggestions(self, glu: Any) -> None:
        from cnncalc.spec.json_schema import json_schema

        assert "glu" in str(json_schema()["definitions"]["item"])
        with pytest.raises(cnncalc.SpecError, match="did you mean glu"):
            cnncalc.analyze({"input": [8, 6, 6], "layers": ["glue"]})

    def test_its_errors_are_placed(self, glu: Any) -> None:
        with pytest.raises(cnncalc.SpecError, match="glu1: its 7 channels cannot be halved"):
            cnncalc.analyze({"input": [7, 6, 6], "layers": ["glu"]})

    def test_it_agrees_with_pytorch(self, glu: Any) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        built = glu().build(torch.nn, (8, 6, 6))
        x = torch.zeros(1, 8, 6, 6)
        assert (
            tuple(built(x).shape[1:])
            == cnncalc.analyze({"input": [8, 6, 6], "layers": ["glu"]}).layers[0].output_shape
        )
