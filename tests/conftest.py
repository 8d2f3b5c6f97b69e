"""Options and fixtures of all tests."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from support import conv, network
from support.imitated.sitecustomize import imitate
from support.places import GOLDENS

if TYPE_CHECKING:
    from collections.abc import Callable

# Tensors this small are slower on several cores, and far slower on busy ones: threads wait for each
# other at full speed. PyTorch reads this when it is imported, here and in child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# A busy machine is no reason for an example to fail. The first two draw the same in every run, so
# that a change of the code, not chance, makes a test fail. `examples` scales with these numbers.
PROFILES = {"quick": 25, "exhaustive": 200, "proofs": 4000}
for profile, number in PROFILES.items():
    fixed = {"derandomize": True, "database": None} if profile != "proofs" else {}
    settings.register_profile(profile, max_examples=number, deadline=None, **fixed)


# ── The user's environment ───────────────────────────────────────────────────────────────────────
# It colours, folds and words what is printed. A test that wants a value sets it.
VARYING = (
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"),
    *("GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "MPLBACKEND", "SOURCE_DATE_EPOCH"),
    *("CUBLAS_WORKSPACE_CONFIG", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    *("PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONSTARTUP"),
)


def forget_the_user() -> None:
    for name in VARYING:
        os.environ.pop(name, None)
    os.environ["TERM"] = "xterm-256color"


# ─────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="Write the goldens from the present output."
    )
    parser.addoption(
        "--bfloat16",
        choices=["detected", "yes", "no"],
        default="detected",
        help="Whether the processor has units for bfloat16, which `precision: auto` then takes.",
    )


@pytest.hookimpl(trylast=True)  # pytest's own report is as the user wants it
def pytest_configure(config: pytest.Config) -> None:
    forget_the_user()
    answer = config.getoption("--bfloat16")
    if answer != "detected":
        imitate(answer)
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("exhaustive" if is_exhaustive(config) else "quick")


def is_exhaustive(config: pytest.Config) -> bool:
    """Whether the tests are chosen that the second command of the README leaves out."""
    return config.getoption("-m").startswith("exhaustive")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What draws its examples is of both tiers: the exhaustive one draws eight times as many."""
    if is_exhaustive(config):
        for item in items:
            drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
            if drawn or item.get_closest_marker("drawn"):
                item.add_marker("exhaustive")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of a tiny network on digits; tests work on copies of it."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from cnncalc.training import train as api

    layers = [conv(6, 3, bias=False), "batch_norm", "relu", {"max_pool": 2}, "flatten"]
    run = api.train(
        network([1, 8, 8], *layers, {"linear": 10}, name="tiny"),
        output=tmp_path_factory.mktemp("runs") / "tiny",
        settings={"epochs": 3, "batch_size": 64, "data.validation": 0.1, "ema": 0.9},
        device="cpu",
    )
    assert run.finished
    return run.folder


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(tiny_run, folder)
    return folder


@pytest.fixture(scope="session")
def plan(tiny_run: Path) -> Any:
    """The plan of `tiny_run`: its network, recipe and data."""
    import cnncalc
    from cnncalc.training.options import RunOptions
    from cnncalc.training.plan import plan_run

    known = json.loads((tiny_run / "run.json").read_text(encoding="utf-8"))
    loaded = cnncalc.load(**known["network"])
    return plan_run(loaded, loaded.recipe(known["settings"]), RunOptions(device="cpu"))


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares text with the golden of that file name, or writes it there when asked to."""

    def check(name: str, text: str) -> None:
        file = GOLDENS / name
        if request.config.getoption("--update-goldens"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        assert file.is_file(), f"{file.stem}: no golden; run scripts/goldens"
        assert text.splitlines() == file.read_text(encoding="utf-8").splitlines()

    return check
