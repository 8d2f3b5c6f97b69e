"""What a bug report needs of the machine: versions, system, processor, devices, precision."""

from __future__ import annotations

import locale
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from cnncalc import __version__
from cnncalc.cores import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = (
    *("pyyaml", "typer", "rich", "pydantic", "numpy", "torch", "torchvision"),
    *("safetensors", "scikit-learn", "onnx", "onnxscript", "matplotlib"),
)
FEATURES = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16"),
    *("asimd", "neon", "bf16", "sve", "svebf16", "sme"),
)
"""Of a processor, what PyTorch's kernels are chosen by, as Linux names it."""
VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
    *("CUDA_VISIBLE_DEVICES", "LC_ALL", "LANG", "PYTHONUTF8", "PYTHONIOENCODING", "TERM"),
)
"""Of the environment, what changes how cnncalc computes or prints."""
CPUINFO = Path("/proc/cpuinfo")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
APPLES = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.AdvSIMD": "neon",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme",
}
"""What macOS calls them."""


def report() -> str:
    """One fact a line; nothing in it names the user."""
    rows = [("cnncalc", __version__), *_software(), *_hardware(), *_pytorch()]
    width = max(len(name) for name, _ in rows) + 2
    return "".join(f"{name:{width}}{value}\n" for name, value in rows)


def _software() -> Iterator[tuple[str, str]]:
    yield "Python", f"{platform.python_version()}, {platform.python_implementation()}"
    for name in LIBRARIES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
        else:
            yield name, f"{version}, {_libyaml()}" if name == "pyyaml" else version


def _libyaml() -> str:
    import yaml

    if not yaml.__with_libyaml__:
        return "without libyaml"
    from yaml import _yaml

    return f"libyaml {_yaml.get_version_string()}"


def _hardware() -> Iterator[tuple[str, str]]:
    yield "system", platform.platform()
    encoding = getattr(sys.stdout, "encoding", None) or "none"
    yield "encodings", f"{locale.getpreferredencoding(do_setlocale=False)}, stdout {encoding}"
    name, features = processor()
    yield "processor", name
    yield "features", " ".join(features) or "none that PyTorch asks for"
    yield "cores", f"{cores()} of {os.cpu_count() or 1}"
    if SHARED_MEMORY.is_dir():
        yield "shared memory", f"{shutil.disk_usage(SHARED_MEMORY).free / 2**30:.1f} GiB free"
    found = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    yield "environment", " ".join(found) or "nothing set that matters"


def processor() -> tuple[str, list[str]]:
    """The name of the processor, and those of `FEATURES` that it has."""
    if sys.platform == "darwin":
        facts = _asked_of_macos()
        name = facts.get("machdep.cpu.brand_string", "")
        found = {feature for key, feature in APPLES.items() if facts.get(key) == "1"}
    else:
        try:
            text = CPUINFO.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        facts = dict(re.findall(r"^([^\t\n:]+?)\s*: (.*)$", text, re.MULTILINE))
        name = facts.get("model name") or facts.get("Model") or facts.get("Hardware") or ""
        found = {*(facts.get("flags") or facts.get("Features") or "").split()}
    shown = f"{name}, {platform.machine()}" if name else platform.machine() or "unknown"
    return shown, [feature for feature in FEATURES if feature in found]


def _asked_of_macos() -> dict[str, str]:
    command = ["/usr/sbin/sysctl", "machdep.cpu.brand_string", *APPLES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"^(\S+): (.*)$", done.stdout, re.MULTILINE))


def _pytorch() -> Iterator[tuple[str, str]]:
    """Each device, and what `precision: auto` is there."""
    try:
        import torch

        from cnncalc.training.device import has_bfloat16
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        why = "PyTorch is not installed" if missing else f"PyTorch cannot be loaded: {error}"
        yield "devices", " ".join(why.split())
        return
    except OSError as error:  # a library that it is linked to is not there
        yield "devices", " ".join(f"PyTorch cannot be loaded: {error}".split())
        return
    kernels = torch.backends.cpu.get_cpu_capability()
    devices = [("cpu", f"{kernels} kernels, {torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        capability = ".".join(map(str, torch.cuda.get_device_capability(index)))
        name = torch.cuda.get_device_name(index)
        built = torch.version.cuda or torch.version.hip
        devices.append((f"cuda:{index}", f"{name}, capability {capability}, CUDA {built}"))
    if torch.backends.mps.is_available():
        devices.append(("mps", "Metal"))
    for name, about in devices:
        precision = "bfloat16" if has_bfloat16(torch.device(name)) else "float32"
        yield name, f"{about}; precision auto is {precision}"
