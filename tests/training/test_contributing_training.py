"""A data set, an augmentation and an optimizer by the steps of CONTRIBUTING.md, and forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.steps import carry_out, diffstat, run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

SPEC = "name: small\ninput: [3, 8, 8]\nlayers: [flatten, {linear: 10}]\n"
EVERY = {
    "A new data set": "tests/training/data/readers/test_every_data_set.py",
    "A new augmentation": "tests/training/feeding/test_augment.py",
    "A new optimizer": "tests/training/step/test_optimizers.py",
}
"""The test over all of a kind."""


def trained(root: Path, *options: str) -> None:
    """As a user would, in the copy."""
    (root / "small.yaml").write_text(SPEC, encoding="utf-8")
    command = ["python", "-m", "cnncalc", "train", "small.yaml", "-q", "-o", "run", *options]
    done = run(root, *command, "--steps", "2", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((root / "run" / "summary.json").read_text())["steps"] == 2


def said_by_tests(root: Path, *which: str) -> str:
    done = run(root, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", *which)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def passes(root: Path, section: str, name: str) -> None:
    said = said_by_tests(root, EVERY[section], "-k", name)
    assert "passed" in said
    assert "failed" not in said


@pytest.mark.exhaustive
def test_a_data_set(tmp_path: Path) -> None:
    root = carry_out("A new data set", tmp_path)
    assert set(diffstat(root)) == {
        "cnncalc/training/data/readers/sketches.py",
        "docs/data.md",
        "tests/support/data_files.py",
    }
    row = "| `sketches` | a table of square images | your file |\n"
    assert row in (root / "docs" / "data.md").read_text(encoding="utf-8")
    lines = [",".join(map(str, (number % 10, *[number] * 64))) for number in range(40)]
    (root / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    trained(root, "--data", "sketches", "--data-dir", "table.csv", "--input", "1x8x8")
    passes(root, "A new data set", "sketches")


@pytest.mark.exhaustive
def test_an_augmentation(tmp_path: Path) -> None:
    root = carry_out("A new augmentation", tmp_path)
    assert set(diffstat(root)) == {
        "cnncalc/spec/train_section.py",
        "cnncalc/training/feeding/augment.py",
        "docs/recipes.md",
    }
    trained(root, "--data", "synthetic", "--set", "train.augment.grey=0.5")
    passes(root, "A new augmentation", "grey or every_field")


@pytest.mark.exhaustive
def test_an_optimizer(tmp_path: Path) -> None:
    root = carry_out("A new optimizer", tmp_path)
    assert set(diffstat(root)) == {
        "cnncalc/spec/train_section.py",
        "cnncalc/training/step/optimizers.py",
    }
    options = ("--set", "train.optimizer={name: signsgd, lr: 0.001, momentum: 0.9}")
    trained(root, "--data", "synthetic", *options)
    passes(root, "A new optimizer", "signsgd or suggest")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("section", "step", "test", "message"),
    [
        (
            *("A new data set", 3, "fits_a_network"),
            "sketches: tests/support/data_files.py has no example of it",
        ),
        (
            *("A new augmentation", 1, "every_field"),
            "grey: AugmentRecipe has no field of that name",
        ),
        (
            *("A new augmentation", 2, "every_field"),
            "grey: feeding/augment.py has no function of that name",
        ),
        (
            *("A new optimizer", 1, "suggest"),
            "signsgd: training/step/optimizers.py has no such optimizer",
        ),
        (
            *("A new optimizer", 2, "suggest"),
            "signsgd: OPTIMIZERS of spec/train_section.py does not name it",
        ),
    ],
)
def test_what_is_forgotten_is_named(
    section: str, step: int, test: str, message: str, tmp_path: Path
) -> None:
    root = carry_out(section, tmp_path, forget=step, commands=False)
    assert message in said_by_tests(root, EVERY[section], "-k", test)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("section", "page"), [("A new data set", "data"), ("A new augmentation", "recipes")]
)
def test_a_forgotten_page_is_asked_for(section: str, page: str, tmp_path: Path) -> None:
    root = carry_out(section, tmp_path, commands=False)
    said = said_by_tests(root, "tests/test_docs.py", "-k", f"{page.removesuffix('s')}_page")
    assert f"docs/{page}.md is not what the code says: run scripts/docs" in said
