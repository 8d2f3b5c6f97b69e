"""`cnncalc runs`: what folders say of their runs, finished, stopped or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.processes import invoke
from test_no_torch import HEAVY, loaded_by

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")


from support.saved_runs import copies, metrics, refused, said  # noqa: E402

from cnncalc.runs import records  # noqa: E402
from cnncalc.training.reports.tables import runs_table  # noqa: E402

pytestmark = pytest.mark.training


def test_runs_are_listed_newest_first(run: Path) -> None:
    folder = copies(run, "b", "a")
    (folder / "notes").mkdir()
    (folder / "file.txt").touch()
    lines = said("runs", str(folder)).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["a", "b", "tiny"]
    rows = metrics(run)
    assert lines[-1].split() == [
        "tiny",
        "tiny",
        "3",
        rows[-1]["step"],
        f"{float(rows[-1]['val_accuracy']):.2%}",
        f"{float(rows[-1]['test_accuracy']):.2%}",
        f"{min(float(row['val_loss']) for row in rows):.4f}",
        f"{float(rows[-1]['seconds']):.1f}",
        "finished",
    ]


def test_runs_that_are_not_finished_or_damaged(run: Path) -> None:
    folder = copies(run, "cut", "begun", "more", "hurt", "lost")
    for name in ("cut", "begun"):
        (folder / name / "summary.json").unlink()
    with (folder / "cut" / "metrics.csv").open("a") as file:
        file.write("4,9")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    (folder / "begun" / "metrics.csv").write_text(f"{header}\n")
    with (folder / "more" / "metrics.csv").open("a") as file:
        file.write("4,100,0.1,0.9,nan,0.9,,,0.1,9.5,100\n")
    (folder / "hurt" / "metrics.csv").write_text(f"{header}\n1,x\n")
    (folder / "lost" / "run.json").unlink()
    status, out, err = invoke("runs", str(folder), "--format", "json")
    assert (status, err) == (0, "")
    found = {Path(each["run"]).name: each for each in json.loads(out)["runs"]}
    assert {name: each["state"] for name, each in found.items()} == {
        "tiny": "finished",
        "cut": "unfinished",
        "begun": "unfinished",
        "more": "unfinished",
        "hurt": "damaged",
        "lost": "damaged",
    }
    assert found["cut"]["epoch"] == 3
    assert (found["begun"]["epoch"], found["begun"]["test_accuracy"]) == (0, None)
    assert found["more"]["best_val_loss"] == found["tiny"]["best_val_loss"]
    assert found["hurt"]["problem"] == "metrics.csv is damaged"
    assert found["lost"]["problem"] == "is no folder of a run (run.json is missing)"
    assert "damaged: metrics.csv is damaged" in said("runs", str(folder))


def test_runs_of_a_folder_that_is_a_run_empty_or_missing(run: Path, tmp_path: Path) -> None:
    assert said("runs", str(run)).splitlines()[-1].split()[0] == "tiny"
    (tmp_path / "empty").mkdir()
    assert json.loads(said("runs", str(tmp_path / "empty"), "--format", "json"))["runs"] == []
    missing = tmp_path / "missing"
    assert refused("runs", str(missing)) == f"{missing}: there is no such folder"


def test_a_terminal_of_80_columns_shows_runs_by_their_names(run: Path) -> None:
    """A line a run, and no title cut: what is less needed gives way."""
    name = "resnet18_cifar-20261121-101501"
    records_of = [records.record_of(path) for path in (copies(run, name) / name, run)]
    lines = runs_table(records_of, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[-2:]] == [name, "tiny"]
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "best",
        "val test val",
        "run epochs accuracy accuracy loss state",
    ]


def test_listing_runs_loads_no_torch(run: Path) -> None:
    assert not loaded_by("runs", str(run.parent)) & HEAVY
