"""The training loop: epochs of steps, evaluations, checkpoints.

A resumed run goes on bit for bit on the CPU: what is random follows from the seed and the step, or
is in the checkpoint.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cnncalc.errors import TrainingError
from cnncalc.training.checkpoints import BEST, save_last, write_checkpoint
from cnncalc.training.evaluation import Figures, evaluate_split
from cnncalc.training.learner import loss_function
from cnncalc.training.processes import here, of_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cnncalc.training.batches import TrainingBatches
    from cnncalc.training.data.dataset import Split, Stream
    from cnncalc.training.folder import RunFolder
    from cnncalc.training.interruption import Interruption
    from cnncalc.training.learner import Learner

LOOK_EVERY = 50
"""Steps between two looks at the losses: each waits for the device."""
SAVE_SECONDS = 180.0
"""Between two checkpoints within an epoch."""


class Progress(Protocol):
    """Who watches a run."""

    def begin(self, plan: Any, folder: Path, step: int, problems: Sequence[str]) -> None:
        """Told before the first step; `problems` are checkpoints that were damaged."""

    def step(self, step: int, loss: float, accuracy: float, images: int) -> None:
        """Told now and then within an epoch; `images` were trained on since it was told last."""

    def epoch(self, row: dict[str, float | int | None]) -> None:
        """Told after each evaluation: a row of the metrics."""


class Evaluated(NamedTuple):
    """The splits that a run is evaluated on."""

    validation: Split | Stream | None
    test: Split | Stream | None


class Loop:
    """Runs a learner over its batches, from wherever it is to its last step."""

    def __init__(
        self,
        learner: Learner,
        batches: TrainingBatches,
        evaluated: Evaluated,
        folder: RunFolder,
        progress: Progress,
        interruption: Interruption,
    ) -> None:
        self.learner, self.batches, self.evaluated = learner, batches, evaluated
        self.folder, self.progress, self.interruption = folder, progress, interruption
        self.recipe = learner.recipe
        self.saved_at = time.monotonic()
        self.looked_at = learner.step
        self.images = 0
        self.epoch_seconds = 0.0

    def run(self) -> bool:
        """Trains to the end; False if it was interrupted, and saved.

        Raises:
            TrainingError: a loss was not finite.
            OutputError: the disk is full.
        """
        learner = self.learner
        learner.model.train()
        while learner.step < learner.steps and not self._is_stale():
            epoch, start = divmod(learner.step, len(self.batches))
            if not self._epoch(epoch, start):
                return False
        return True

    def _epoch(self, epoch: int, start: int) -> bool:
        """The rest of an epoch, from batch `start`; False if it was interrupted."""
        learner, began = self.learner, time.monotonic()
        for batch in self.batches.epoch(epoch, start):
            learner.learn(batch)
            self.images += batch.size
            if learner.step - self.looked_at >= LOOK_EVERY:
                self._look()
                if here().any(time.monotonic() - self.saved_at > SAVE_SECONDS):
                    self._save(began)
            ended = learner.step >= learner.steps
            if self.interruption.noticed() and not ended:
                self._look()
                self._save(began)
                return False
            if ended:
                break
        self._look()
        learner.seconds += time.monotonic() - began
        self._end_of_epoch(epoch)
        return True

    def _look(self) -> None:
        learner = self.learner
        ago = learner.tally.look()
        if ago is not None:
            step = learner.step - ago // self.recipe.accumulate
            epoch = (step - 1) // len(self.batches) + 1
            error = TrainingError(
                f"the loss is not finite at step {step} (epoch {epoch});"
                f" the checkpoints in {self.folder.checkpoints} are older: try a lower"
                " train.optimizer.lr, or train.clip"
            )
            raise of_process(0, error)
        tally = learner.tally
        self.progress.step(learner.step, tally.loss, tally.accuracy, self.images)
        self.looked_at, self.images = learner.step, 0

    def _save(self, began: float) -> None:
        """A checkpoint within an epoch that began at `began`."""
        now = time.monotonic()
        state = self.learner.state()
        state["seconds"] += now - began
        self._write(state)
        self.saved_at = now

    def _end_of_epoch(self, epoch: int) -> None:
        learner, recipe = self.learner, self.recipe
        is_last = learner.step >= learner.steps
        if is_last or (epoch + 1) % recipe.evaluate_every == 0:
            self._evaluate(epoch)
        self.epoch_seconds = learner.seconds
        learner.tally.clear()
        self._write(learner.state())
        self.saved_at = time.monotonic()

    def _write(self, state: dict[str, Any]) -> None:
        if here().is_first:
            save_last(state, self.folder.checkpoints)

    def _evaluate(self, epoch: int) -> None:
        learner, tally = self.learner, self.learner.tally
        figures = {name: self._figures(split) for name, split in self.evaluated._asdict().items()}
        validation, test = figures["validation"], figures["test"]
        row = {
            "epoch": epoch + 1,
            "step": learner.step,
            "train_loss": tally.loss,
            "train_accuracy": tally.accuracy,
            "val_loss": validation and validation.loss,
            "val_accuracy": validation and validation.accuracy,
            "test_loss": test and test.loss,
            "test_accuracy": test and test.accuracy,
            "lr": learner.optimizer.param_groups[0]["lr"],
            "seconds": learner.seconds,
            "images_per_second": tally.count / max(learner.seconds - self.epoch_seconds, 1e-9),
        }
        if here().is_first:
            self.folder.add(row)
        if validation is not None:
            self._keep_best(validation.loss)
        self.progress.epoch(row)

    def _figures(self, split: Split | Stream | None) -> Figures | None:
        if split is None:
            return None
        learner = self.learner
        here().take_buffers(learner.model)
        loss = loss_function(self.recipe.loss, "none")
        classes = self.batches.classes
        arguments = (
            learner.model,
            split,
            self.batches.prepare,
            loss,
            classes,
            learner.setting.autocast,
        )
        if learner.average is None:
            return evaluate_split(*arguments)
        with learner.average.applied(learner.model):
            return evaluate_split(*arguments)

    def _keep_best(self, loss: float) -> None:
        learner = self.learner
        if math.isfinite(loss) and (learner.best_loss is None or loss < learner.best_loss):
            learner.best_loss, learner.without_better = loss, 0
            if here().is_first:
                write_checkpoint(learner.weights(), self.folder.checkpoints / BEST)
        else:
            learner.without_better += 1

    def _is_stale(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and self.learner.without_better >= patience
