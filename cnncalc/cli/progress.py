"""What a run says on its way: a bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from cnncalc.cli.output import warn
from cnncalc.training.step.progress import Progress
from cnncalc.wording import lines, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich import progress as rich

    from cnncalc.runs.folder import Row
    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.plan import Plan
    from cnncalc.training.step.plateau import Standstill

NARROW = 75
"""Characters of a terminal, below which there is room for no bar, and for no speed."""
HEAD = "epoch  train loss  accuracy  val loss  accuracy  test loss  accuracy    images/s"


def describe(plan: Plan) -> str:
    """What will happen, a line each."""
    data, recipe, setting, totals = plan.data, plan.recipe, plan.setting, plan.totals
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = ", ".join(f"{len(s.labels):,} {name}" for name, s in splits.items() if s is not None)
    layout = ", channels_last" if setting.channels_last else ""
    compiled = ", compiled" if setting.compiled else ""
    captured = ", CUDA graph" if setting.captured else ""
    precision = str(setting.precision).removeprefix("torch.")
    at_once = -(-recipe.batch_size // (recipe.accumulate * plan.processes))
    found = {
        "network": f"{plan.graph.name}, {totals.parameters:,} parameters,"
        f" {totals.multiply_adds:,} multiply-adds an image",
        "data": f"{data.name}: {counts}; {len(data.classes)} classes; {plan.placement}",
        "steps": f"{plan.steps:,} of {recipe.batch_size} images, {plan.steps_per_epoch:,} an epoch",
        **_shared(plan),
        "optimizer": f"{recipe.optimizer.name}, lr {recipe.optimizer.lr:g}, {recipe.schedule.name}",
        **_loss(plan),
        **_augmented(recipe),
        "device": f"{setting.device}, {precision}{layout}{compiled}{captured}",
        "memory": f"{totals.weight_bytes:,} bytes of weights,"
        f" {totals.activation_bytes * at_once:,} of activations",
    }
    if data.skipped:
        found["skipped"] = f"{len(data.skipped):,} corrupt images: {_some(data.skipped)}"
    if plan.start is not None:
        anew = f"; anew: {_some(plan.start.anew)}" if plan.start.anew else ""
        found["weights"] = f"{len(plan.start.tensors):,} tensors of {plan.start.source}{anew}"
    return "".join(f"{name:<10} {printable(text)}\n" for name, text in found.items())


def _loss(plan: Plan) -> dict[str, str]:
    """What is minimised, if that is not the usual or not well chosen."""
    from cnncalc.training.recipe_checks import doubt_about_loss

    name, doubt = plan.recipe.loss.name, doubt_about_loss(plan.recipe, plan.graph)
    if doubt is None:
        return {} if name == "cross_entropy" else {"loss": name}
    return {"loss": f"{name} {doubt}"}


def _augmented(recipe: Recipe) -> dict[str, str]:
    """What happens to training images, if anything does."""
    chosen = {name: value for name, value in recipe.augment.model_dump().items() if value}
    texts = (name if value is True else f"{name} {value:g}" for name, value in chosen.items())
    return {"augment": ", ".join(texts)} if chosen else {}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _short(loss: float) -> str:
    """A loss in at most 8 characters, that of a run that goes astray too."""
    return f"{loss:.4f}" if abs(loss) < 999 else f"{loss:.2e}"


def _shared(plan: Plan) -> dict[str, str]:
    """What each process has to do, where there are several."""
    if plan.processes == 1:
        return {}
    least, rest = divmod(plan.recipe.batch_size, plan.processes)
    each = f"{least} or {least + 1}" if rest else f"{least}"
    backend = "nccl" if plan.setting.device.type == "cuda" else "gloo"
    return {"processes": f"{plan.processes} ({backend}), each with {each} images of a step"}


def watcher(*, quiet: bool) -> Any:
    """Who watches the run, on stderr."""
    if quiet or sys.stderr is None:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()


class Quiet(Progress):
    """Says nothing but what is wrong."""

    def begin(self, plan: Plan, folder: Path, step: int, problems: Sequence[str]) -> None:
        for problem in problems:
            self.say(problem)

    def close(self) -> None:
        """Told when the run is over, however it ended."""

    def say(self, text: str) -> None:
        warn(text)


class Lines(Quiet):
    """A line after each evaluation."""

    def begin(self, plan: Plan, folder: Path, step: int, problems: Sequence[str]) -> None:
        super().begin(plan, folder, step, problems)
        self.say(describe(plan).rstrip())
        self.say(f"{'run':<10} {folder}{f', from step {step:,}' if step else ''}")
        if step >= plan.steps:
            self.say(f"finished at step {step:,} already: --epochs or --steps gives it more")
            return
        self.say(HEAD)

    def epoch(self, row: Row) -> None:
        pairs = [("train_loss", "train_accuracy"), ("val_loss", "val_accuracy")]
        cells = [f"{row['epoch']:>5}"]
        for loss, accuracy in [*pairs, ("test_loss", "test_accuracy")]:
            width = 10 if loss == "train_loss" else 8 if loss == "val_loss" else 9
            value = row[loss]
            cells.append(f"{'–' if value is None else _short(value):>{width}}")
            cells.append(f"{'–':>8}" if value is None else f"{row[accuracy]:>8.2%}")
        cells.append(f"{row['images_per_second']:>10,.0f}")
        self.say("  ".join(cells))

    def stale(self, evaluations: int) -> None:
        count = f"{evaluations} evaluation{'' if evaluations == 1 else 's'}"
        self.say(f"stopped by train.patience: no better validation loss in {count}")

    def standing(self, standstill: Standstill) -> None:
        self.say(standstill.text)


class Bar(Lines):
    """A bar with loss, accuracy, images a second and the time left."""

    def __init__(self) -> None:
        self.bar: rich.Progress | None = None
        self.task: rich.TaskID | None = None
        self.seen = 0.0

    def begin(self, plan: Plan, folder: Path, step: int, problems: Sequence[str]) -> None:
        super().begin(plan, folder, step, problems)
        from rich import progress as rich
        from rich.console import Console

        console = Console(file=sys.stderr)
        steps, left = rich.MofNCompleteColumn(), rich.TimeRemainingColumn()
        figures = rich.TextColumn(
            "loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}"
        )
        speed = rich.TextColumn("{task.fields[speed]:,.0f} images/s")
        columns = [steps, rich.BarColumn(), figures, speed, left]
        if console.width < NARROW:
            columns = [steps, figures, left]
        self.bar = rich.Progress(*columns, console=console, transient=True)
        self.task = self.bar.add_task(
            "", total=plan.steps, completed=step, loss=0, accuracy=0, speed=0
        )
        self.bar.start()
        self.seen = time.monotonic()

    def step(self, step: int, loss: float, accuracy: float, images: int) -> None:
        if self.bar is None or self.task is None:
            return
        now = time.monotonic()
        speed = images / max(now - self.seen, 1e-9)
        self.seen = now
        self.bar.update(self.task, completed=step, loss=loss, accuracy=accuracy, speed=speed)
        if self.bar.finished:
            self.bar.stop()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.console.print(lines(text), highlight=False, markup=False, soft_wrap=True)
        else:
            super().say(text)
