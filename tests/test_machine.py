"""`cnncalc --version`, and with `--verbose` what a bug report needs of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.processes import environment, invoke, run

import cnncalc
from cnncalc import machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

X86 = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse4_2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse4_2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm sve i8mm bf16
CPU implementer\t: 0x41
"""
RASPBERRY = f"{ARM.replace(' sve i8mm bf16', '')}\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
MACOS = """\
machdep.cpu.brand_string: Apple M2 Pro
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SME: 0
"""


def rows(text: str) -> dict[str, str]:
    """The facts by name."""
    column = text.index(cnncalc.__version__)
    return {line[:column].rstrip(): line[column:] for line in text.splitlines()}


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)


def test_version_alone() -> None:
    assert invoke("--version") == (0, f"cnncalc {cnncalc.__version__}\n", "")


def test_version_alone_looks_at_nothing() -> None:
    script = """
import sys
from cnncalc.cli import main
sys.argv = ["cnncalc", "--version"]
try:
    main()
finally:
    print({"torch", "numpy", "yaml", "cnncalc.machine"} & {*sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == f"cnncalc {cnncalc.__version__}\nset()\n"


@pytest.mark.parametrize("flags", [("--version", "--verbose"), ("--verbose", "--version")])
@pytest.mark.usefixtures("without_torch")
def test_what_a_bug_report_needs(flags: tuple[str, str]) -> None:
    status, out, err = invoke(*flags)
    assert (status, err) == (0, "")
    found = rows(out)
    assert [*found][:4] == ["cnncalc", "Python", "pyyaml", "typer"]
    assert found["cnncalc"] == cnncalc.__version__
    assert found["Python"].startswith(platform.python_version())
    for name in ("typer", "rich", "pydantic"):
        assert found[name] == metadata.version(name)
    assert found["pyyaml"].startswith(f"{yaml.__version__}, ")
    assert found["system"] == platform.platform()
    assert platform.machine() in found["processor"]
    assert found["cores"] == f"{machine.cores()} of {os.cpu_count()}"
    assert found["devices"] == "PyTorch is not installed"


@pytest.mark.usefixtures("without_torch")
def test_each_line_is_one_fact_and_none_names_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USER", "somebody")
    text = machine.report()
    assert "somebody" not in text
    assert all(line.isprintable() and "  " in line for line in text.splitlines())


@pytest.mark.parametrize("flags", [("--verbose",), ("--verbose", "list")])
def test_verbose_alone(flags: tuple[str, ...]) -> None:
    status, out, err = invoke(*flags)
    assert (status, out) == (2, "")
    assert err.endswith("Error: --verbose goes with --version\n")


@pytest.mark.usefixtures("without_torch")
def test_libyaml_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert rows(machine.report())["pyyaml"] == f"{yaml.__version__}, without libyaml"


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is here without libyaml")
@pytest.mark.usefixtures("without_torch")
def test_the_version_of_libyaml() -> None:
    from yaml import _yaml

    version = ".".join(map(str, _yaml.get_version()))
    assert rows(machine.report())["pyyaml"] == f"{yaml.__version__}, libyaml {version}"


@pytest.mark.usefixtures("without_torch")
def test_libraries_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("torch", "numpy"):
            raise metadata.PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(metadata, "version", version)
    found = rows(machine.report())
    assert (found["torch"], found["numpy"]) == ("not installed", "not installed")
    assert found["torchvision"] == "1.2.3"


@pytest.mark.parametrize(
    ("text", "name", "features"),
    [
        (
            X86,
            "Intel(R) Xeon(R) Platinum 8480+, ",
            ["avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"],
        ),
        (ARM, "", ["asimd", "bf16", "sve"]),
        (RASPBERRY, "Raspberry Pi 4 Model B Rev 1.4, ", ["asimd"]),
        ("", "", []),
        (None, "", []),
    ],
)
def test_processor_of_linux(
    text: str | None,
    name: str,
    features: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert machine.processor() == (f"{name}{platform.machine()}", features)


def no_program(*_: Any, **__: Any) -> Any:
    raise FileNotFoundError("sysctl")


@pytest.mark.parametrize(
    ("answer", "name", "features"),
    [
        (
            lambda command, **_: subprocess.CompletedProcess(command, 1, MACOS, "unknown oid"),
            "Apple M2 Pro, ",
            ["neon", "bf16"],
        ),
        (no_program, "", []),
    ],
    ids=["asked", "not there"],
)
def test_processor_of_macos(
    answer: Callable[..., Any],
    name: str,
    features: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = platform.machine()
    monkeypatch.setattr(platform, "machine", lambda: shown)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", answer)
    found, has = machine.processor()
    assert (found, {*has}) == (f"{name}{shown}", {*features})


@pytest.mark.parametrize("count", [1, 2, 64])
def test_cores(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(count)}, raising=False)
    assert machine.cores() == count
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3 * count)
    assert machine.cores() == 3 * count
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1


@pytest.mark.usefixtures("without_torch")
def test_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SHARED_MEMORY", tmp_path)
    assert rows(machine.report())["shared memory"].endswith(" GiB free")
    monkeypatch.setattr(machine, "SHARED_MEMORY", tmp_path / "absent")
    assert "shared memory" not in rows(machine.report())


@pytest.mark.usefixtures("without_torch")
def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert rows(machine.report())["environment"] == "nothing set that matters"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("SECRET", "hidden")
    assert rows(machine.report())["environment"] == "ONEDNN_MAX_CPU_ISA=AVX2"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise OSError('libcudart.so.12:\\n cannot open')", "libcudart.so.12: cannot open"),
        ("import a_part_of_it", "No module named 'a_part_of_it'"),
    ],
)
def test_pytorch_that_cannot_be_loaded(module: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(module)
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = run("--version", "--verbose", PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rows(done.stdout.decode())["devices"] == f"PyTorch cannot be loaded: {said}"


def test_the_precision_of_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: [(7, 5), (9, 0)][_index(device)]
    )
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for has, precision in ((True, "bfloat16"), (False, "float32")):
        for feature in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(torch.cpu, feature, lambda has=has: has, raising=False)
        found = rows(machine.report())
        assert found["cpu"].endswith(f"; precision auto is {precision}")
        assert f" {torch.get_num_threads()} threads" in found["cpu"]
    assert found["cuda:0"] == "GPU 0, capability 7.5, CUDA 13.0; precision auto is float32"
    assert found["cuda:1"] == "GPU 1, capability 9.0, CUDA 13.0; precision auto is bfloat16"
    assert found["mps"] == "Metal; precision auto is float32"


def _index(device: Any) -> int:
    return device if isinstance(device, int) else int(device.index)
