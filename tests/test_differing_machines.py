"""What differs between machines and users, and must not matter: one table, one set of files."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.processes import environment, run

from cnncalc.errors import UsageError
from cnncalc.spec import bundled
from cnncalc.spec.loading import load

SURROUNDINGS: dict[str, dict[str, str]] = {
    "no UTF-8, no room": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "TZ": "Asia/Kolkata",
        "TERM": "dumb",
        "COLUMNS": "1",
        "LINES": "1",
    },
    "what is not there": {
        "LC_ALL": "xx_XX.UTF-8",
        "TZ": "Nowhere/Else",
        "TERM": "",
        "COLUMNS": "0",
        "LINES": "0",
        "HOME": "/nonexistent",
        "XDG_CACHE_HOME": "/nonexistent",
        "USER": "",
    },
    "Turkish, colours wanted": {
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "COLUMNS": "wide",
        "LINES": "-1",
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
    },
    "a build server, in German": {
        "LC_ALL": "de_DE.UTF-8",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHON_CPU_COUNT": "1",
    },
}


@pytest.fixture(scope="module")
def table() -> bytes:
    done = run("summarize", "lenet", "--formulas")
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize("changes", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_a_table_does_not_depend_on_who_asks(changes: dict[str, str], table: bytes) -> None:
    done = run("summarize", "lenet", "--formulas", **changes)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", table)


@pytest.mark.parametrize("changes", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_nor_does_a_message(changes: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "é.yaml").write_text("input: [3]\nlayers: [reluu, é]\n", encoding="utf-8")
    done = run("summarize", "é.yaml", cwd=tmp_path, **changes)
    assert (done.returncode, done.stdout) == (2, b"")
    message, line, caret, end = done.stderr.decode().split("\n")
    assert message.endswith(".yaml:2:10: unknown layer 'reluu'; did you mean relu?")
    assert (line, caret, end) == ("    layers: [reluu, é]", " " * 13 + "^", "")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_files_have_the_rights_that_the_user_wants(mask: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnncalc", "summarize", "lenet", "-o", "table.md"],
        cwd=tmp_path,
        env=environment(),
        umask=mask,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "table.md").stat().st_mode) == 0o666 & ~mask


def test_a_name_is_a_name_where_letter_case_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """On most Macs LeNet.yaml opens lenet.yaml; the networks have the same names there."""
    present = Path.is_file

    def is_file(path: Path) -> bool:
        beside = path.parent.iterdir() if path.parent.is_dir() else []
        return present(path) or path.name.lower() in {other.name.lower() for other in beside}

    monkeypatch.setattr(Path, "is_file", is_file)
    assert bundled.find("LeNet") is None
    assert bundled.find("lenet") == (bundled.folder() / "lenet.yaml", None)
    with pytest.raises(UsageError, match=r"LENET: there is no such file .* did you mean lenet\?"):
        load("LENET")


def test_names_that_differ_in_case_are_two(tmp_path: Path) -> None:
    """Of nodes; what PyTorch makes of them has both."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "input: [3, 4, 4]\nlayers:\n"
        "  - {name: Conv, conv: {out_channels: 3, kernel_size: 1}}\n"
        "  - {name: conv, conv: {out_channels: 3, kernel_size: 1}}\n"
    )
    done = run("summarize", "spec.yaml", "--format", "json", cwd=tmp_path)
    assert [layer["name"] for layer in json.loads(done.stdout)["layers"]] == ["Conv", "conv"]


def test_folders_that_differ_in_case_are_two_classes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    from cnncalc.training.data import load_data

    for name in ("Cat", "cat"):
        (tmp_path / name).mkdir(exist_ok=True)
        for number in range(4):
            image.new("RGB", (8, 8)).save(tmp_path / name / f"{name}{number}.png")
    there = sorted(folder.name for folder in tmp_path.iterdir())
    options: dict[str, Any] = {"input_shape": (3, 8, 8), "outputs": len(there)}
    if len(there) == 1:  # this file system knows no case: one folder, one class, is no data
        with pytest.raises(UsageError):
            load_data("imagefolder", directory=tmp_path, **options)
        return
    data = load_data("imagefolder", directory=tmp_path, **options)
    assert data.classes == ("Cat", "cat")


@pytest.mark.parametrize(
    ("cores", "processes", "workers"), [(1, 1, 1), (2, 1, 2), (64, 1, 8), (64, 16, 4), (2, 4, 1)]
)
def test_as_many_processes_read_images_as_there_are_cores(
    cores: int, processes: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from cnncalc.training.feeding import batches

    asked: dict[str, Any] = {}
    monkeypatch.setattr(batches, "cores", lambda: cores)
    monkeypatch.setattr(batches, "here", lambda: SimpleNamespace(local_count=processes))
    monkeypatch.setattr(batches, "DataLoader", lambda *_, **options: asked.update(options))
    monkeypatch.setattr(batches, "read_ahead", lambda _: [])
    assert [*batches.streamed([], [], torch.device("cpu"))] == []
    assert asked["num_workers"] == min(workers, batches.MAX_WORKERS)


STARTED = """
import multiprocessing, sys
import torch
from torch.utils.data import Dataset

import cnncalc
from cnncalc.training.feeding import batches


class Pictures(Dataset):
    targets = (0, 1) * 4

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        image = torch.full((1, 8, 8), 31 * index, dtype=torch.uint8)
        return image, self.targets[index]


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    torch.set_num_threads(1)
    batches.cores = lambda: 1
    network = {"input": [1, 8, 8], "layers": ["flatten", {"linear": 2}]}
    settings = {"epochs": 1, "batch_size": 4, "precision": "float32"}
    run = cnncalc.train(network, data=Pictures(), output="run", settings=settings, device="cpu")
    print(multiprocessing.get_start_method(), run.finished)
"""


@pytest.mark.exhaustive
def test_processes_that_read_are_spawned(tmp_path: Path) -> None:
    """As on macOS; what Python 3.14 does on Linux hands over the same."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (tmp_path / "begin.py").write_text(STARTED)
    done = subprocess.run(
        [sys.executable, "begin.py", "spawn"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stdout) == (0, "spawn True\n"), done.stderr
