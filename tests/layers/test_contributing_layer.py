"""A new layer by the steps of CONTRIBUTING.md: one class; tests say what else is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.steps import carry_out, diffstat, run

if TYPE_CHECKING:
    from pathlib import Path

SECTION = "A new layer"
SPEC = "input: [3, 8, 8]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - log_sigmoid\n"
EVERY = "tests/importing/test_every_layer.py"


def figures(root: Path) -> dict[str, Any]:
    (root / "net.yaml").write_text(SPEC, encoding="utf-8")
    done = run(root, "python", "-m", "cnncalc", "summarize", "net.yaml", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    row: dict[str, Any] = json.loads(done.stdout)["layers"][-1]
    return row


def said_by_tests(root: Path, *which: str) -> str:
    done = run(root, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", *which)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_the_class_is_all_that_a_table_needs(tmp_path: Path) -> None:
    root = carry_out(SECTION, tmp_path, forget=5)
    row = figures(root)
    assert (row["kind"], row["layer"]) == ("log_sigmoid", "nn.LogSigmoid()")
    assert (row["output_shape"], row["flops"]) == ([4, 6, 6], 4 * 6 * 6)
    schema = json.loads(run(root, "python", "-m", "cnncalc", "schema").stdout)
    assert schema["definitions"]["log_sigmoid"]["description"] == "log(1/(1 + exp(−x)))."


@pytest.mark.exhaustive
def test_the_page_of_the_layers_is_asked_for_where_it_is_forgotten(tmp_path: Path) -> None:
    root = carry_out(SECTION, tmp_path, forget=5)
    said = said_by_tests(root, "tests/test_docs.py", "-k", "layers_page")
    assert "docs/layers.md is not what the code says: run scripts/docs" in said


@pytest.mark.exhaustive
def test_it_is_compared_with_pytorch_built_imported_and_listed(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="PyTorch exports with onnxscript")
    root = carry_out(SECTION, tmp_path)
    assert diffstat(root)["cnncalc/layers/activation.py"] == 5
    assert "| `log_sigmoid` |" in (root / "docs" / "layers.md").read_text(encoding="utf-8")
    figures(root)
    done = run(root, "python", "-m", "cnncalc", "verify", "net.yaml")
    assert done.returncode == 0, done.stdout
    which = "knows_every_layer or log_sigmoid or strategy"
    said = said_by_tests(root, EVERY, "tests/layers/test_layers_against_torch.py", "-k", which)
    assert "failed" not in said
    assert "9 passed" in said


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("step", "test", "message"),
    [
        (
            2,
            f"{EVERY}::test_the_importer_from_torch_knows_every_layer",
            "log_sigmoid: the importer from torch does not know it",
        ),
        (
            3,
            f"{EVERY}::test_the_importer_from_onnx_knows_every_layer",
            "log_sigmoid: the importer from ONNX does not know it",
        ),
        (
            4,
            "tests/layers/test_layers_against_torch.py::test_every_kind_has_a_strategy",
            "log_sigmoid: tests/support/strategies.py draws no example",
        ),
    ],
)
def test_what_is_forgotten_is_named(step: int, test: str, message: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="PyTorch exports with onnxscript")
    root = carry_out(SECTION, tmp_path, forget=step, commands=False)
    assert message in said_by_tests(root, test)
