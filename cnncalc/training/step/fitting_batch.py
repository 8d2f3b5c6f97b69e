"""Memory that runs out: what is said then, and the batch size that was tried and fits."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import torch

from cnncalc.errors import TrainingError
from cnncalc.training.processes.processes import here
from cnncalc.training.step.evaluation import BATCH
from cnncalc.training.step.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncalc.training.feeding.batches import TrainingBatches
    from cnncalc.training.step.learner import Learner

EVALUATION_BYTES = 2**31
"""Up to so many bytes of activations, more images are evaluated at once than trained on."""


def evaluated_at_once(activation_bytes: int, batch_size: int) -> int:
    """Images to evaluate at once: of large ones, no more than a training step takes.

    `activation_bytes` are those of one image in all layers; evaluation keeps only some of them.
    """
    return min(max(EVALUATION_BYTES // max(activation_bytes, 1), batch_size), BATCH)


def within_memory(run: Callable[[], bool], learner: Learner, batches: TrainingBatches) -> bool:
    """What `run` returns.

    Raises:
        TrainingError: memory ran out. Smaller batches were tried, and it says which fits.
    """
    try:
        return run()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Only now are the frames gone that held the tensors of the step that failed.
    recipe = learner.recipe
    size, step = recipe.batch_size, learner.step + 1
    said = f"out of memory on {learner.setting.device} at step {step} with batch_size {size}"
    if here().count > 1:
        raise TrainingError(f"{said}: try a smaller one, or train.accumulate")
    fits = fitting_batch(learner, batches)
    if fits is None:
        raise TrainingError(f"{said}: not even one image fits")
    said = f"{said}; two steps of {fits} fitted: --batch-size {fits}"
    parts = -(-size // fits) * recipe.accumulate
    if _fits(learner, batches, size, parts):
        said += f", or --set train.accumulate={parts}, which keeps the batch"
    raise TrainingError(said)


def fitting_batch(learner: Learner, batches: TrainingBatches) -> int | None:
    """The first half, quarter … of the batch size that trains; None if one image is too much.

    The learner is spent afterwards: it was trained.
    """
    size, parts = learner.recipe.batch_size, learner.recipe.accumulate
    while size > 1:
        size //= 2
        if _fits(learner, batches, size, min(parts, size)):
            return size
    return None


def _fits(learner: Learner, batches: TrainingBatches, size: int, parts: int) -> bool:
    """Whether two steps succeed: at the second the optimizer has all its memory."""
    gc.collect()
    _empty(learner)
    learner.recipe = learner.recipe.model_copy(update={"accumulate": parts})
    try:
        for _ in range(2):
            learner.learn(batches.sample(size))
            learner.tally.look()
    except (RuntimeError, MemoryError, ValueError) as error:
        # Batch norm refuses a single image of a single pixel.
        if not is_out_of_memory(error) and size > 1:
            raise
        return False
    finally:
        _empty(learner)
    return True


def _empty(learner: Learner) -> None:
    """Gives back all memory but that of weights, optimizer and data."""
    learner.optimizer.zero_grad(set_to_none=True)
    learner.tally.clear()
    if learner.captured is not None:
        learner.captured.release()
    if learner.setting.device.type == "cuda":
        torch.cuda.empty_cache()
    elif learner.setting.device.type == "mps":
        torch.mps.empty_cache()
