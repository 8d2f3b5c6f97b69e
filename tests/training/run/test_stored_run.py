"""A run that an earlier cnncalc began, stored beside this file, goes on as it would have there.

It was cut in its second epoch, at step 31 of 63; `whole.jsonl` holds the metrics of the same run
left alone. Its batches are compared by a hash; its weights are not: processors add up in orders of
their own.
"""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from cnncalc.training.step.learner import Learner  # noqa: E402

STORED = Path(__file__).parent / "stored_run"
BATCHES = 2091254896
"""CRC-32 of the images, in thousandths, and the labels of steps 32 to 63, in order."""

pytestmark = pytest.mark.training


def rows(text: str) -> list[dict[str, Any]]:
    """Of the metrics, but for what the machine says."""
    found = [json.loads(line) for line in text.splitlines()]
    return [{key: row[key] for key in row if "second" not in key} for row in found]


def test_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(shutil.copytree(STORED / "begun", tmp_path / "begun"))
    learn, steps, seen = Learner.learn, [], 0

    def noted(self: Learner, batch: Any) -> None:
        nonlocal seen
        thousandths = (batch.images * 1000).round().to(torch.int32)
        for tensor in (thousandths, batch.labels):
            seen = zlib.crc32(tensor.contiguous().numpy().tobytes(), seen)
        learn(self, batch)
        steps.append(self.step)

    monkeypatch.setattr(Learner, "learn", noted)
    assert cnncalc.resume(run).finished
    assert steps == [*range(32, 64)]
    assert seen == BATCHES
    ours = rows((run / "metrics.jsonl").read_text())
    whole = rows((STORED / "whole.jsonl").read_text())
    assert [row["step"] for row in ours] == [21, 42, 63]
    for row, expected in zip(ours, whole, strict=True):
        assert row == pytest.approx(expected, rel=1e-3)


def test_it_is_evaluated(tmp_path: Path) -> None:
    """Its best weights are those of its only row."""
    run = Path(shutil.copytree(STORED / "begun", tmp_path / "begun"))
    (row,) = rows((run / "metrics.jsonl").read_text())
    figures = cnncalc.evaluate(run, weights="best", device="cpu")
    assert figures.loss == pytest.approx(row["test_loss"], rel=1e-3)
