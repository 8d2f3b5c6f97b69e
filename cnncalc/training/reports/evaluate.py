"""Figures of a run on a split of its data, or of other data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncalc.analysis.analyze import analyze_graph
from cnncalc.errors import UsageError, did_you_mean
from cnncalc.training.data import DataSet
from cnncalc.training.data.of_recipe import read_data
from cnncalc.training.device import choose_setting, find_device
from cnncalc.training.feeding.batches import Preparer
from cnncalc.training.run.result import Run
from cnncalc.training.run.saved import open_run
from cnncalc.training.step.evaluation import Evaluator

if TYPE_CHECKING:
    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.data import Split, Stream
    from cnncalc.training.run.saved import Saved

SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class Evaluation:
    """Figures of a run on one split. Accuracies are fractions."""

    run: Path
    network: str
    data: str
    split: str
    weights: str
    """best or last."""
    step: int
    samples: int
    loss: float
    accuracy: float
    top5_accuracy: float
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts: a row is a true class, a column what was said."""
    problems: tuple[str, ...] = ()
    """A message on each newer checkpoint, which is damaged."""

    @property
    def class_samples(self) -> tuple[int, ...]:
        return tuple(map(sum, self.confusion))

    @property
    def class_accuracies(self) -> tuple[float | None, ...]:
        """Of the images of each class, the share that was recognised; None where there are none."""
        return tuple(
            row[place] / count if count else None
            for place, (row, count) in enumerate(
                zip(self.confusion, self.class_samples, strict=True)
            )
        )


def evaluate(
    run: Run | str | os.PathLike[str],
    *,
    split: str = "test",
    data: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> Evaluation:
    """Evaluates a run on a split of its data, or of other `data`: a name, tensors or a Dataset.

    `weights` are best or last; the best if there are such. Images are normalised as in training.

    Raises:
        UsageError: this is no run, there is no such checkpoint or split, or the data do not fit.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}; {did_you_mean(split, SPLITS)}")
    saved = open_run(run, weights)
    recipe = _recipe(saved, data, data_dir, device)
    shape, classes = saved.graph.input_shape, saved.data.classes
    setting = choose_setting(recipe, device, shape)
    found, part = _split(saved, recipe, None if isinstance(data, str) else data, split)
    _check_classes(classes, found.classes, found.name)
    prepare = Preparer(saved.data.mean, saved.data.std, shape, setting.memory_format)
    totals = analyze_graph(saved.graph).totals
    evaluator = Evaluator.of_recipe(recipe, setting, prepare, len(classes), totals.activation_bytes)
    model = saved.model.to(setting.device).to(memory_format=setting.memory_format)
    figures = evaluator.figures(model, part)
    return Evaluation(
        saved.path,
        saved.graph.name,
        found.name,
        split,
        saved.weights,
        saved.step,
        figures.samples,
        figures.loss,
        figures.accuracy,
        figures.top5,
        found.classes,
        tuple(map(tuple, figures.confusion.tolist())),
        saved.problems,
    )


def _split(saved: Saved, recipe: Recipe, data: Any, split: str) -> tuple[DataSet, Split | Stream]:
    """What is evaluated, and the data that it is of; `data` as they are handed over in Python.

    Data that are no mapping are the test split themselves, and of a mapping no other split is
    needed.

    Raises:
        UsageError: there is no such split, or the data do not fit.
    """
    role = split
    if isinstance(data, Mapping) and data.get(split) is not None:
        data, role = data[split], "train"
    elif split == "test" and not isinstance(data, Mapping | DataSet | None):
        role = "train"
    if role != split:
        recipe = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"validation": 0})}
        )
    try:
        found = read_data(recipe, saved.graph, data, known=saved.data.classes)
    except UsageError as error:
        error.advice = ""  # the network of a run stays what it is
        raise
    part = getattr(found, role)
    if part is None:
        there = " or ".join(name for name in SPLITS if getattr(found, name) is not None)
        raise UsageError(f"{found.name} has no {split} split; use --split {there}")
    return found, part


def _recipe(saved: Saved, data: Any, data_dir: Any, device: str) -> Recipe:
    """The recipe of the run, with the data that were asked for."""
    recipe = saved.network.recipe(saved.settings)
    settings = dict(saved.settings)
    handed_over = saved.data.name != recipe.data.name
    if data is None and data_dir is None and handed_over:
        raise UsageError(
            f"{saved.path} was trained on data handed over in Python: hand over data, or use --data"
        )
    is_other = data != recipe.data.name if isinstance(data, str) else not handed_over
    if data is not None and is_other:
        settings |= {"data.dir": None, "data.validation": 0.0}
    if isinstance(data, str):
        settings["data.name"] = data
    if data_dir is not None:
        settings["data.dir"] = os.fspath(data_dir)
    if recipe.precision == "float16" and find_device(device).type == "cpu":
        settings["precision"] = "float32"
    return saved.network.recipe(settings)


def _check_classes(known: tuple[str, ...], found: tuple[str, ...], name: str) -> None:
    if known != found and sorted(known) == sorted(found):
        raise UsageError(f"{name} has the classes of the run's data in another order")
