"""The training loop: epochs of steps, evaluations, checkpoints.

A resumed run goes on bit for bit on the CPU: what is random follows from the seed and the step, or
is in the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import TrainingError
from cnncalc.runs.folder import Row
from cnncalc.training.processes.processes import here, of_process
from cnncalc.training.run.checkpoints import BEST, LAST, save_last, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnncalc.errors import CnncalcError
    from cnncalc.training.data.dataset import Split, Stream
    from cnncalc.training.feeding.batches import Batch, TrainingBatches
    from cnncalc.training.processes.interruption import Interruption
    from cnncalc.training.run.folder import RunWriter
    from cnncalc.training.step.evaluation import Evaluator, Figures
    from cnncalc.training.step.learner import Learner
    from cnncalc.training.step.plateau import Plateau
    from cnncalc.training.step.progress import Progress

LOOK_EVERY = 50
"""Most steps between two looks at the losses: each waits for the device."""
LOOK_SECONDS = 1.0
"""Between two looks at slow steps: a watcher sees them, and saving is on time."""
SAVE_SECONDS = 180.0
"""Between two checkpoints within an epoch."""

Callback = Callable[[Row], object]
"""Told of each row once it is saved; False ends the run."""


class Evaluated(NamedTuple):
    """The splits that a run is evaluated on."""

    validation: Split | Stream | None
    test: Split | Stream | None


@dataclass(eq=False)
class Loop:
    """Runs a learner over its batches, from wherever it is to its last step."""

    learner: Learner
    batches: TrainingBatches
    evaluator: Evaluator
    evaluated: Evaluated
    folder: RunWriter
    interruption: Interruption
    plateau: Plateau
    progress: Progress
    told: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        self.recipe = self.learner.recipe
        self.stopped = False
        self.saved_step = self.learner.step
        self.saved_at = time.monotonic()
        self.looked_at, self.next_look = self.learner.step, self.learner.step + 1
        self.looked_when = self.saved_at
        self.images = 0

    def run(self) -> bool:
        """Trains to the end; False if it was interrupted, and saved.

        Raises:
            TrainingError: a loss was not finite.
            OutputError: the disk is full.
        """
        learner = self.learner
        learner.model.train()
        at_end = learner.step % len(self.batches) == 0 or learner.step >= learner.steps
        if learner.tally.count and at_end:  # it was saved after the last step, before its end
            self._end_of_epoch((learner.step - 1) // len(self.batches))
        while not self._is_over():
            epoch, start = divmod(learner.step, len(self.batches))
            with closing(self.batches.epoch(epoch, start)) as batches:
                if not self._epoch(epoch, batches):
                    return False
        if learner.step < learner.steps and not self.stopped:
            self.progress.stale(learner.without_better)
        return True

    def _epoch(self, epoch: int, batches: Iterator[Batch]) -> bool:
        """The rest of an epoch, `batches`; False if it was interrupted."""
        learner = self.learner
        began = self.looked_when = time.monotonic()
        for batch in batches:
            learner.learn(batch)
            self.images += batch.size
            if learner.step >= self.next_look:
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
        # A signal during an evaluation waits for no step of the next epoch.
        return not self.interruption.noticed() or self._is_over()

    def _look(self) -> None:
        learner = self.learner
        if learner.step == self.looked_at:
            return
        ago = learner.tally.look()
        if ago is not None:
            step = learner.step - ago // self.recipe.accumulate
            epoch = (step - 1) // len(self.batches) + 1
            raise self._not_finite(f"the loss is not finite at step {step} (epoch {epoch})")
        tally = learner.tally
        self.progress.step(learner.step, tally.loss, tally.accuracy, self.images)
        self.next_look = learner.step + here().from_first(self._steps_to_next_look)
        self.looked_at, self.looked_when, self.images = learner.step, time.monotonic(), 0

    def _steps_to_next_look(self) -> int:
        """As many as take a second, at the pace since the last look."""
        seconds = max(time.monotonic() - self.looked_when, 1e-9)
        pace = (self.learner.step - self.looked_at) / seconds
        return max(min(int(LOOK_SECONDS * pace), LOOK_EVERY), 1)

    def _not_finite(self, what: str) -> CnncalcError:
        last = self.folder.checkpoints / LAST
        kept = f"{last} is of step {self.saved_step}" if self.saved_step else "nothing was saved"
        advice = "try a lower train.optimizer.lr, or train.clip"
        return of_process(0, TrainingError(f"{what}; {kept}: {advice}"))

    def _check_weights(self) -> None:
        """A finite loss may still have had a gradient that is not: no such weights are saved."""
        if here().any(not self.learner.is_finite()):
            raise self._not_finite(f"the weights are not finite after step {self.learner.step}")

    def _save(self, began: float) -> None:
        """A checkpoint within an epoch that began at `began`."""
        self._check_weights()
        now = time.monotonic()
        state = self.learner.state()
        state["seconds"] += now - began
        self._write(state)
        self.saved_at, self.saved_step = now, self.learner.step

    def _end_of_epoch(self, epoch: int) -> None:
        learner, recipe = self.learner, self.recipe
        self._check_weights()
        is_last = learner.step >= learner.steps
        row = None
        if is_last or (epoch + 1) % recipe.evaluate_every == 0:
            row = self._evaluate(epoch)
        standstill = self.plateau.standstill(learner.tally, len(self.batches))
        if standstill is not None:
            self.progress.standing(standstill)
        learner.epoch_seconds = learner.seconds
        learner.tally.clear()
        self._write(learner.state())
        self.saved_at, self.saved_step = time.monotonic(), learner.step
        if row is not None:
            told = row
            self.stopped = here().from_first(lambda: self._tell(told))

    def _tell(self, row: Row) -> bool:
        """Whether someone who was told of a row ends the run."""
        answers = [tell(dict(row)) for tell in self.told]
        return any(answer is False for answer in answers)

    def _write(self, state: dict[str, Any]) -> None:
        if here().is_first:
            save_last(state, self.folder.checkpoints)

    def _evaluate(self, epoch: int) -> Row:
        learner, tally = self.learner, self.learner.tally
        figures = {name: self._figures(split) for name, split in self.evaluated._asdict().items()}
        validation, test = figures["validation"], figures["test"]
        row: Row = {
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
            "images_per_second": tally.count / max(learner.seconds - learner.epoch_seconds, 1e-9),
        }
        if here().is_first:
            self.folder.add(row)
        if validation is not None:
            self._keep_best(validation.loss)
        self.progress.epoch(row)
        return row

    def _figures(self, split: Split | Stream | None) -> Figures | None:
        if split is None:
            return None
        learner = self.learner
        here().take_buffers(learner.model)
        if learner.average is None:
            return self.evaluator.figures(learner.model, split)
        with learner.average.applied(learner.model):
            return self.evaluator.figures(learner.model, split)

    def _keep_best(self, loss: float) -> None:
        learner = self.learner
        if math.isfinite(loss) and (learner.best_loss is None or loss < learner.best_loss):
            learner.best_loss, learner.without_better = loss, 0
            if here().is_first:
                write_checkpoint(learner.weights(), self.folder.checkpoints / BEST)
        else:
            learner.without_better += 1

    def _is_over(self) -> bool:
        return self.learner.step >= self.learner.steps or self._is_stale() or self.stopped

    def _is_stale(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and self.learner.without_better >= patience
