"""Memory that runs out: what is said then, and the batch size that was tried and fits."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

from cnncalc.errors import TrainingError
from cnncalc.training.processes.processes import here
from cnncalc.training.step.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.feeding.batches import TrainingBatches
    from cnncalc.training.step.learner import Learner

    MakeLearner = Callable[[Recipe], Learner]

T = TypeVar("T")


class NoMemoryError(Exception):
    """Memory ran out at a step, counted from 1."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


@contextmanager
def steps_of(learner: Learner) -> Iterator[None]:
    """Raises `NoMemoryError` where memory runs out within."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise NoMemoryError(learner.step + 1) from None


def within_memory(run: Callable[[], T], batches: TrainingBatches, anew: MakeLearner) -> T:
    """What `run` returns; what it trains must be its own, so that it is gone when `run` fails.

    `anew` makes the learner that a smaller batch is tried on.

    Raises:
        TrainingError: memory ran out. Smaller batches were tried, and it says which fits.
    """
    try:
        return run()
    except NoMemoryError as error:
        step = error.step
    # Only now are the frames gone that held the learner and the tensors of its step.
    recipe = batches.recipe
    size = recipe.batch_size
    said = f"out of memory on {batches.device} at step {step} with batch_size {size}"
    if here().count > 1:
        raise TrainingError(f"{said}: try a smaller one, or train.accumulate")
    fits = fitting_batch(batches, anew)
    if fits is None:
        raise TrainingError(f"{said}: not even one image fits")
    said = f"{said}; two steps of {fits} fitted: --batch-size {fits}"
    parts = -(-size // fits) * recipe.accumulate
    if _fits(batches, anew, size, parts):
        said += f", or --set train.accumulate={parts}, which keeps the batch"
    raise TrainingError(said)


def fitting_batch(batches: TrainingBatches, anew: MakeLearner) -> int | None:
    """The first half, quarter … of the batch size that trains; None if one image is too much."""
    size, parts = batches.recipe.batch_size, batches.recipe.accumulate
    while size > 1:
        size //= 2
        if _fits(batches, anew, size, min(parts, size)):
            return size
    return None


def _fits(batches: TrainingBatches, anew: MakeLearner, size: int, parts: int) -> bool:
    """Whether two steps succeed: at the second the optimizer has all its memory."""
    _empty(batches.device)
    recipe = batches.recipe.model_copy(update={"accumulate": parts})
    try:
        learner = anew(recipe)
        for _ in range(2):
            learner.learn(batches.sample(size))
            learner.tally.look()
    except (RuntimeError, MemoryError, ValueError) as error:
        # Batch norm refuses a single image of a single pixel.
        if not is_out_of_memory(error) and size > 1:
            raise
        return False
    return True


def _empty(device: torch.device) -> None:
    """Gives back what PyTorch keeps of the memory of tensors that are gone."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
