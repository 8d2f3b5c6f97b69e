"""Options and fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support import conv, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDENS = Path(__file__).parent / "goldens"

# A busy machine is no reason for an example to fail.
settings.register_profile("cnncalc", deadline=None)
settings.load_profile("cnncalc")


# ── The user's environment ───────────────────────────────────────────────────────────────────────
# It colours, folds and words what is printed. A test that wants a value sets it.
VARYING = (
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"),
    *("GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "MPLBACKEND", "SOURCE_DATE_EPOCH"),
    *("CUBLAS_WORKSPACE_CONFIG", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    *("PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONSTARTUP"),
)


@pytest.hookimpl(trylast=True)  # pytest's own report is as the user wants it
def pytest_configure() -> None:
    for name in VARYING:
        os.environ.pop(name, None)
    os.environ["TERM"] = "xterm-256color"


# ─────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="Write the goldens from the present output."
    )


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on several cores, and far slower on busy ones."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of a tiny network on digits; tests work on copies of it."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from cnncalc.training import api

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
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares text with the golden of that file name, or writes it there when asked to."""

    def check(name: str, text: str) -> None:
        file = GOLDENS / name
        if request.config.getoption("--update-goldens"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        assert file.is_file(), f"{file.name} is missing: run pytest --update-goldens"
        assert text.splitlines() == file.read_text(encoding="utf-8").splitlines()

    return check
