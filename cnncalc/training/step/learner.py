"""A model that learns: one step, and everything that a checkpoint holds."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from cnncalc.errors import UsageError
from cnncalc.training.processes.processes import here
from cnncalc.training.processes.shared_dropout import drawn_for
from cnncalc.training.step.cuda_graph import CapturedGradient
from cnncalc.training.step.losses import loss_function
from cnncalc.training.step.optimizers import make_optimizer
from cnncalc.training.step.schedules import make_schedule
from cnncalc.training.step.tally import Tally
from cnncalc.training.step.weight_average import Average

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.device import Setting
    from cnncalc.training.feeding.batches import Batch
    from cnncalc.training.processes.shares import Share


class Learner:
    """A model, its optimizer and its learning rate, and how far they are."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, setting: Setting, steps_per_epoch: int
    ) -> None:
        self.recipe, self.setting = recipe, setting
        self.model = model.to(setting.device).to(memory_format=setting.memory_format)
        self.replica: Any = here().replica(self.model, own_buffers=recipe.sync_batch_norm)
        self.compute = torch.compile(self.replica) if setting.compiled else self.replica
        self.captured = (
            CapturedGradient(self.model, recipe.batch_size) if setting.captured else None
        )
        self.steps = recipe.total_steps(steps_per_epoch)
        self.optimizer = make_optimizer(self.model, recipe.optimizer)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.factor = make_schedule(recipe.schedule, steps_per_epoch, self.steps)
        self.average = Average(self.model, recipe.ema) if recipe.ema else None
        self.scaler = torch.amp.GradScaler(
            setting.device.type, enabled=setting.precision == torch.float16
        )
        self.loss = loss_function(recipe.loss)
        self.tally = Tally()
        self.step = 0
        self.seconds = 0.0
        """Of training, evaluations and checkpoints not counted."""
        self.epoch_seconds = 0.0
        """`seconds` when the epoch began."""
        self.earlier = 0.0
        """Seconds in all before `began`, in the parts of a run that was resumed."""
        self.began = time.monotonic()
        self.best_loss: float | None = None
        self.without_better = 0

    def learn(self, batch: Batch) -> None:
        """One step of the optimizer: rates, the gradient of the batch, weights, their average."""
        factor = self.factor(self.step)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        if batch.share is not None:
            self._learn_share(batch, batch.share)
        elif self.recipe.accumulate == 1:
            self._learn_whole(batch)
        else:
            self._learn_parts(batch, self.recipe.accumulate)
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.model)
        self.step += 1

    def _learn_whole(self, batch: Batch) -> None:
        """The gradient of a batch at once; replayed, where steps are recorded."""
        given = (batch.images, batch.targets)
        loss, scores = (
            self.captured(self._gradient, *given) if self.captured else self._gradient(*given)
        )
        self.tally.add(loss, scores, batch.labels)

    def _learn_parts(self, batch: Batch, parts: int) -> None:
        """The same from so many parts, each weighed by its samples."""
        for images, targets, labels in zip(
            *(part.chunk(parts) for part in (batch.images, batch.targets, batch.labels)),
            strict=True,
        ):
            loss, scores = self._gradient(images, targets, len(labels) / len(batch.labels))
            self.tally.add(loss, scores, labels)

    def _learn_share(self, batch: Batch, share: Share) -> None:
        """The gradient of the whole batch, from this process's share of each of its parts.

        The replicas average their gradients: what each adds is weighed by its samples.
        """
        tensors = (batch.images, batch.targets, batch.labels)
        cut = (torch.split(tensor, share.sizes) for tensor in tensors)
        for number, (piece, images, targets, labels) in enumerate(
            zip(share.pieces, *cut, strict=True), 1
        ):
            weight = len(labels) * share.processes / share.whole
            last = number == len(share.pieces)
            with drawn_for(piece), nullcontext() if last else self.replica.no_sync():
                loss, scores = self._gradient(images, targets, weight)
            self.tally.add(loss, scores, labels)

    def _gradient(
        self, images: Tensor, targets: Tensor, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """The loss () and the scores (N, classes); `share` of the gradient is added to .grad."""
        with self.setting.autocast():
            scores = self.compute(images)
            loss = self.loss(scores, targets) if len(scores) else scores.float().sum()
        torch.autograd.backward(self.scaler.scale(loss * share if share != 1.0 else loss))
        return loss.detach(), scores.detach()

    @property
    def total_seconds(self) -> float:
        """Of the run, with evaluations and checkpoints, without the time it lay still."""
        return self.earlier + time.monotonic() - self.began

    def is_finite(self) -> bool:
        """Whether all weights are finite numbers, and what is normalised by."""
        tensors = (value for value in self.model.state_dict().values() if value.is_floating_point())
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state() if self.average else None,
            "random": self._random(),
            "tally": self.tally.state(),
            "step": self.step,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "total_seconds": self.total_seconds,
            "best_loss": self.best_loss,
            "without_better": self.without_better,
        }

    def _random(self) -> dict[str, Tensor]:
        """The state of the random numbers; all processes have the same."""
        random = {"cpu": torch.get_rng_state()}
        if self.setting.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.setting.device)
        return random

    def weights(self) -> dict[str, Any]:
        """The weights to keep: the averaged ones, if they are averaged."""
        if self.average is None:
            return {"model": self.model.state_dict(), "step": self.step}
        with self.average.applied(self.model):
            kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        return {"model": kept, "step": self.step}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken.

        Raises:
            UsageError: it is that of another network or optimizer.
        """
        try:
            self._restore(state)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UsageError(f"the checkpoint does not fit the run: {reason}") from None

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # else it was of another precision
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.restore(state["average"])
        torch.set_rng_state(state["random"]["cpu"])
        if "cuda" in state["random"] and self.setting.device.type == "cuda":
            torch.cuda.set_rng_state(state["random"]["cuda"], self.setting.device)
        self.tally.restore(state["tally"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.epoch_seconds = state.get("epoch_seconds", self.seconds)
        self.earlier = state.get("total_seconds", self.seconds)
        self.best_loss, self.without_better = state["best_loss"], state["without_better"]
