"""A new operator of the importers by the steps of CONTRIBUTING.md, and what is said without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.steps import carry_out, diffstat, run

pytest.importorskip("torch", reason="operators are called")

if TYPE_CHECKING:
    from pathlib import Path

SECTION = "A new operator of the importers"
MODULE = """\
from torch import nn


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.RReLU(0.1, 0.3))
"""


def said_by_tests(root: Path) -> str:
    every = "tests/importing/test_every_layer.py"
    done = run(root, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", every, "-k", "other")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.exhaustive
def test_it_is_imported(tmp_path: Path) -> None:
    root = carry_out(SECTION, tmp_path)
    assert diffstat(root) == {
        "cnncalc/importing/from_onnx/operators.py": 4,
        "cnncalc/importing/from_torch/operators.py": 4,
        "tests/importing/test_every_layer.py": 2,
    }
    (root / "mine.py").write_text(MODULE, encoding="utf-8")
    done = run(root, "python", "-m", "cnncalc", "import", "mine:net", "--input-shape", "3x8x8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "leaky_relu: 0.2\n" in done.stdout
    assert "2 passed" in said_by_tests(root)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("step", "message"),
    [
        (1, "rrelu: the importer from torch does not know it"),
        (2, "CastLike: the importer from ONNX does not know it"),
    ],
)
def test_what_is_forgotten_is_named(step: int, message: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    assert message in said_by_tests(carry_out(SECTION, tmp_path, forget=step))
