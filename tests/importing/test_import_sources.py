"""`cnncalc import`: what may be given, what is written, and what each mistake is told."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import cnncalc_output
from typer.testing import CliRunner

import cnncalc
from cnncalc.cli import app
from cnncalc.importing.import_network import import_network
from cnncalc.importing.sources import parse_call

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")

from torch._subclasses.fake_tensor import FakeTensor  # noqa: E402

NETS = """\
import torch
from torch import nn

VALUE = 3

class Small(nn.Module):
    def __init__(self, width=4, classes=2):
        super().__init__()
        if width < 1:
            raise ValueError("no width at all")
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.Sequential(*(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
                                    for _ in range(3)))
        self.fc = nn.Linear(width, classes)
        self.shift = nn.Parameter(torch.linspace(0, 1, 3)[1:2].item() * torch.ones(1))

    def forward(self, x):
        return self.fc(self.body(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))

def words():
    return "no module"

def chatty():
    print("made")
    import friends  # beside this file
    return friends.net()

class Talks(nn.ReLU):
    def forward(self, x):
        print("run")
        return super().forward(x)

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.LazyConv2d(4, 3)

    def forward(self, x):
        return self.conv(x)

class Depends(nn.Module):
    def forward(self, x):
        return x.relu() if x.sum() > 0 else x

class Right(nn.Module):
    def __init__(self, features=3):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, features))

    def forward(self, x):
        return x.flatten(1) @ self.weight

CALLS = []

def fails():
    CALLS.append(1)
    raise ValueError("no")

def leaves():
    raise SystemExit(3)

INSTANCE = Small(5)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of the user's own."""
    (tmp_path / "my_nets.py").write_text(NETS, encoding="utf-8")
    friends = "from my_nets import Talks\nnet = Talks\n"
    (tmp_path / "friends.py").write_text(friends, encoding="utf-8")
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    (tmp_path / "broken_nets.py").write_text("1/0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("my_nets", "broken_nets", "friends", "script"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def refused(*arguments: str) -> str:
    """The one line that a mistake is told in; no file is written."""
    with pytest.raises(cnncalc.CnncalcError) as caught:
        CliRunner().invoke(app, ["import", *arguments, "-o", "x.yaml"], catch_exceptions=False)
    assert caught.value.exit_status == 2
    assert not Path("x.yaml").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_function_of_ones_own_is_imported_and_called(folder: Path) -> None:
    printed = cnncalc_output(
        "import", "my_nets:Small", "--call", "width=8, classes=3", "--input-shape", "3x16x16"
    )
    assert printed.startswith(
        'name: Small\nsource: "imported from my_nets:Small"\ninput: [3, 16, 16]\n'
    )
    Path("small.yaml").write_text(printed, encoding="utf-8")
    totals = cnncalc.analyze("small.yaml").totals
    assert totals.parameters == 8 * 28 + 16 + 3 * 8 * (8 * 9 + 1) + 3 * 9


def test_a_module_that_is_made_already_is_taken_as_it_is() -> None:
    network = import_network("my_nets:INSTANCE", input_shape=(3, 8, 8))
    assert network.spec["layers"][0] == {
        "name": "conv",
        "conv": {"out_channels": 5, "kernel_size": 3},
    }


@pytest.mark.parametrize("features", [3, 4])
def test_a_matrix_whose_shape_does_not_tell_its_turn(features: int) -> None:
    call = f"features={features}"
    network = import_network("my_nets:Right", input_shape=(3, 1, 1), call=call)
    assert network.notes == ()
    assert "weight^T" in network.weights.values()


def test_a_file_is_written_and_what_is_left_out_said_on_stderr() -> None:
    arguments = ["import", "my_nets:Small", "--input-shape", "3x8x8", "-o", "small.yaml"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "my_nets:Small: parameters left out: 1 of shift\n"
    assert cnncalc.analyze("small.yaml").output_shape == (2,)


def test_blocks() -> None:
    network = import_network("my_nets:Small", input_shape=(3, 8, 8), blocks=True)
    assert (
        network.spec["layers"][3]
        == {
            "name": "body",
            "layers": [{"repeat": 3, "sequential": {}}],
        }
        or network.spec["blocks"]
    )
    totals = cnncalc.analyze(cnncalc.load(network.spec)).totals
    assert (
        totals
        == cnncalc.analyze(
            cnncalc.load(import_network("my_nets:Small", input_shape=(3, 8, 8)).spec)
        ).totals
    )


def test_torchvisions_networks_have_their_own_input(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        "cnncalc.importing.from_torch.tracing.trace",
        lambda _, shape, *__, **___: seen.append(shape) or 1 / 0,
    )
    for name in ("resnet18", "inception_v3", "r3d_18"):
        with pytest.raises(ZeroDivisionError):
            import_network(f"torchvision:{name}")
    assert seen == [(3, 224, 224), (3, 299, 299), (3, 16, 112, 112)]


def test_weights_are_given_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        "cnncalc.importing.from_torch.tracing.trace",
        lambda module, *_, **__: seen.append(module) or 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        import_network("torchvision:regnet_y_128gf")  # 2.6 GB, were they there
    assert all(isinstance(each, FakeTensor) for each in seen[0].parameters())


def test_what_a_network_prints_is_not_in_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    path = [*sys.path]
    app(["import", "my_nets:chatty", "--input-shape", "3x4x4"], standalone_mode=False)
    printed = capsys.readouterr()
    assert printed.out.endswith("layers: [relu]\n")
    assert "made" not in printed.out
    assert "run" not in printed.out
    assert "made\nrun\n" in printed.err
    assert sys.path == path


def test_a_function_that_fails_is_called_once() -> None:
    assert "it raises ValueError: no" in refused("my_nets:fails")
    assert sys.modules["my_nets"].CALLS == [1]


def test_the_dump_of_a_graph_that_branches_is_not_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    message = refused("my_nets:Depends")
    assert "cannot follow it on 3×224×224: " in message
    assert message.endswith("; give one sample's shape with --input-shape")
    assert capfd.readouterr().err == ""


def test_a_missing_folder_is_told_before_anything_is_read() -> None:
    with pytest.raises(cnncalc.OutputError, match=r"no/such/r\.yaml: cannot be written"):
        CliRunner().invoke(
            app, ["import", "my_nets:Small", "-o", "no/such/r.yaml"], catch_exceptions=False
        )
    assert "my_nets" not in sys.modules


def test_an_exported_program_gives_the_same_figures() -> None:
    cnncalc.export("lenet", "net.pt2")
    network = import_network("net.pt2")
    assert network.spec["input"] == [1, 28, 28]
    assert cnncalc.analyze(cnncalc.load(network.spec)).totals == cnncalc.analyze("lenet").totals


class Attack:
    """Unpickling it leaves a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("attacked"),)


def test_a_program_runs_nothing(folder: Path) -> None:
    cnncalc.export({"input": [3, 4, 4], "layers": ["relu"]}, "net.pt2")
    attack = io.BytesIO()
    torch.save(Attack(), attack)
    with zipfile.ZipFile("net.pt2") as archive, zipfile.ZipFile("bad.pt2", "w") as written:
        for name in archive.namelist():
            inputs = "sample_inputs" in name
            written.writestr(name, attack.getvalue() if inputs else archive.read(name))
    assert any("sample_inputs" in name for name in archive.namelist())
    assert "bad.pt2: data/sample_inputs/model.pt holds objects of Python" in refused("bad.pt2")
    assert not Path("attacked").exists()
    torch.load(io.BytesIO(attack.getvalue()), weights_only=False)
    assert Path("attacked").exists()


def test_a_file_of_python_is_run_as_a_module_is(folder: Path) -> None:
    """From any folder; a layer under two names, and a name too long for a line of YAML."""
    long = (
        "a_network_for_reading_the_numbers_on_photographs_of_water_meters_in_the_cellars_of_houses"
    )
    (folder / "nets").mkdir()
    (folder / "nets" / "beside.py").write_text("WIDTH = 3\n", encoding="utf-8")
    (folder / "nets" / "mine.py").write_text(
        f"""
from torch import nn
from beside import WIDTH
class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, WIDTH, 3)
        self.net = nn.Sequential(self.conv, nn.ReLU())
    def forward(self, x):
        return self.net(x)
def {long}():
    return Twice()
""",
        encoding="utf-8",
    )
    file = str(folder / "nets" / "types.py")  # which hides no module of Python's
    (folder / "nets" / "mine.py").rename(file)
    paths, types = [*sys.path], sys.modules["types"]
    network = import_network(f"{file}:Twice", input_shape=(2, 20))
    assert network.notes == ()
    assert cnncalc.analyze(network.spec).totals.parameters == 21
    network = import_network(f"{file}:{long}", input_shape=(2, 20))
    assert cnncalc.load(yaml.safe_load(network.text)).name == long
    (folder / "long.yaml").write_text(network.text, encoding="utf-8")
    assert cnncalc.analyze(folder / "long.yaml").totals.parameters == 21
    assert (sys.path, sys.modules["types"]) == (paths, types)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["swin_t"],
            "'swin_t' is nothing to import; did you mean torchvision:swin_t? Else give",
        ),
        (["lenet"], "a spec or bundled network needs none: cnncalc summarize 'lenet'"),
        (["my_nets.py"], "nothing to import; give torchvision:resnet50, package.module:function"),
        (["gone.py:Small"], "gone.py:Small: there is no file gone.py"),
        (["my_nets.py:Smal"], "my_nets.py:Smal: my_nets.py has no 'Smal'; did you mean Small?"),
        (["broken_nets.py:net"], "importing broken_nets.py raises ZeroDivisionError: division by"),
        (["my_nets:Lazy"], "my_nets:Lazy: has parameters without a shape; use it once first"),
        (["my_nets:leaves"], "called with (), it raises SystemExit: 3"),
        (["script:net"], "script:net: importing script raises SystemExit: 0"),
        (["torchvision:resnet19"], "torchvision has no network 'resnet19'; did you mean resnet"),
        (["torchvision:resnet18", "--call", "clases=3"], "raises TypeError: "),
        (["torchvision:resnet18", "--call", "3"], "--call '3' holds no keyword arguments; write"),
        (["torchvision:resnet18", "--call", "a=f()"], "holds no keyword arguments"),
        (["torchvision:resnet18", "--call", "**{}"], "holds no keyword arguments"),
        (["torchvision:resnet18", "--call", "a=1)+(2"], "holds no keyword arguments"),
        (["torchvision:resnet18", "--input-shape", "3x-1"], "is no input shape"),
        (["no_such_module:net"], "there is no module 'no_such_module'"),
        (["broken_nets:net"], "importing broken_nets raises ZeroDivisionError: division by zero"),
        (["my_nets:Smal"], "my_nets:Smal: my_nets has no 'Smal'; did you mean Small?"),
        (
            ["my_nets:VALUE"],
            "my_nets:VALUE: is an int, not a function or class that makes a module",
        ),
        (["my_nets:words"], "my_nets:words: makes a str, not a torch.nn.Module"),
        (["my_nets:Small", "--call", "width=0"], "(width=0), it raises ValueError: no width at"),
        (["my_nets:Small", "--input-shape", "1x8x8"], "torch.export cannot follow it on 1×8×8"),
        (["gone.pt2"], "gone.pt2: there is no such file"),
        (["gone.onnx"], "gone.onnx: there is no such file"),
        (["bad.pt2"], "bad.pt2: is no .pt2 file"),
        (["zip.pt2"], "zip.pt2: holds no program of torch.export"),
        (["bad.pt2", "--input-shape", "3x8x8"], "a .pt2 file takes no input shape"),
        (["bad.pt2", "--call", "a=1"], "a .pt2 file takes no call"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], message: str) -> None:
    Path("bad.pt2").write_bytes(b"\x00not a program")
    with zipfile.ZipFile("zip.pt2", "w") as archive:
        archive.writestr("a", "b")
    assert message in refused(*arguments)


def test_a_call_holds_literals_only() -> None:
    assert parse_call("a=1, b='x', c=[1, (2, None)], d=-0.5") == {
        "a": 1,
        "b": "x",
        "c": [1, (2, None)],
        "d": -0.5,
    }
    with pytest.raises(cnncalc.UsageError, match="keyword arguments"):
        parse_call("a=__import__('os').getcwd()")


def test_without_pytorch_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "cnncalc.importing.from_torch.program",
        "cnncalc.importing.from_torch.tracing",
        "torch",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(cnncalc.UsageError, match="import needs PyTorch: pip install torch"):
        import_network("torchvision:resnet18")
