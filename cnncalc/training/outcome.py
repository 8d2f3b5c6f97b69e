"""What a run came to: summary.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from cnncalc.runs.records import read_metrics
from cnncalc.training.gpu_peaks import peak_multiply_adds

if TYPE_CHECKING:
    from cnncalc.runs.folder import RunFolder
    from cnncalc.training.plan import Plan
    from cnncalc.training.step.learner import Learner


def summary_of(plan: Plan, folder: RunFolder, learner: Learner) -> dict[str, Any]:
    """Figures, time and speed; the share of the device's peak where that is known."""
    totals, setting = plan.totals, plan.setting
    precision = str(setting.precision).removeprefix("torch.")
    epochs, steps = divmod(learner.step, plan.steps_per_epoch)
    images = epochs * len(plan.data.train.labels) + steps * plan.recipe.batch_size
    # Forward, and twice as much backward.
    speed = 3 * totals.multiply_adds * images / max(learner.seconds, 1e-9)
    last = {
        name: value for name, value in read_metrics(folder.path)[-1].items() if value is not None
    }
    last |= {name: int(last[name]) for name in ("epoch", "step")}
    return {
        "name": plan.graph.name,
        "parameters": totals.parameters,
        "multiply_adds": totals.multiply_adds,
        "device": str(setting.device),
        "precision": precision,
        "cuda_graph": learner.captured is not None and learner.captured.recording is not None,
        "steps": learner.step,
        "seconds": learner.seconds,
        "total_seconds": learner.total_seconds,
        "best_val_loss": learner.best_loss,
        "last": last,
        "multiply_adds_per_second": speed,
    } | _share(speed / plan.processes, setting.device, precision)


def _share(speed: float, device: torch.device, precision: str) -> dict[str, float]:
    if device.type != "cuda":
        return {}
    peak = peak_multiply_adds(torch.cuda.get_device_name(device), precision)
    return {} if peak is None else {"share_of_peak": speed / peak}
