"""Whether a recipe suits its network and its data, found out before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from cnncalc.errors import FieldError
from cnncalc.pytorch.compiler import compile_graph
from cnncalc.training.data import Split
from cnncalc.training.feeding.augment import AUGMENTATIONS, Stage
from cnncalc.training.step.optimizers import make_optimizer
from cnncalc.wording import times

if TYPE_CHECKING:
    from cnncalc.network.graph import Graph
    from cnncalc.spec.train_section import Recipe
    from cnncalc.training.data import DataSet


def check_recipe(recipe: Recipe, graph: Graph) -> None:
    """Raises `FieldError` if optimizer, loss or an augmentation does not suit the network."""
    with torch.device("meta"):
        model = compile_graph(graph)
    try:
        make_optimizer(model, recipe.optimizer)
        _check_loss(recipe, graph)
        _check_augmentation(recipe, graph.input_shape)
    except FieldError as error:
        raise error.at(recipe.place(error.path)) from None


def check_data(recipe: Recipe, data: DataSet) -> None:
    """Raises `FieldError` if the recipe asks for data that are not there, or of another kind."""
    if recipe.patience is not None and data.validation is None:
        path = "train.patience"
        raise FieldError(
            "counts evaluations of validation data, and there are none",
            place=recipe.place(path),
            path=path,
            hint="hold some out: data: {validation: 0.1}",
        )
    for name in type(recipe.augment).model_fields:
        path, scaled = f"train.augment.{name}", AUGMENTATIONS[name].stage is Stage.SCALED
        if scaled and getattr(recipe.augment, name) and not _is_scaled(data):
            raise FieldError(
                "needs images of bytes, or of numbers from 0 to 1",
                place=recipe.place(path),
                path=path,
            )


def _is_scaled(data: DataSet) -> bool:
    train = data.train
    images = train.images if isinstance(train, Split) else train[0][0]
    if not images.is_floating_point():
        return True
    return bool(images.min() >= 0 and images.max() <= 1)


def ending(graph: Graph) -> str:
    """The kind of the layer that makes the scores of a network."""
    index = graph.output
    while index >= 0 and graph.nodes[index].layer.keeps_numbers:
        index = graph.nodes[index].inputs[0]
    return "input" if index < 0 else graph.nodes[index].layer.kind


def _check_loss(recipe: Recipe, graph: Graph) -> None:
    if recipe.loss.name == "nll" and (kind := ending(graph)) not in ("log_softmax", "unknown"):
        raise FieldError(
            f"nll takes log-probabilities, and the network ends with {kind}",
            path="train.loss.name",
            hint="end it with log_softmax, or write loss: cross_entropy",
        )


def doubt_about_loss(recipe: Recipe, graph: Graph) -> str | None:
    """What is better done otherwise, where the loss suits the network but badly."""
    if recipe.loss.name == "cross_entropy" and ending(graph) == "softmax":
        return "takes logits: better leave out the network's last softmax"
    return None


def _check_augmentation(recipe: Recipe, shape: tuple[int, ...]) -> None:
    augment = recipe.augment
    shown = times(shape)
    for name in type(augment).model_fields:
        value, path, known = getattr(augment, name), f"train.augment.{name}", AUGMENTATIONS[name]
        if not value:
            continue
        if len(shape) != 3 and known.of_images:
            others = [other for other, each in AUGMENTATIONS.items() if not each.of_images]
            raise FieldError(
                f"is for images of two axes; the network takes {shown}",
                path=path,
                hint=f"of the augmentations only {' and '.join(others)} is for any data",
            )
        complaint = known.complaint(value, shape)
        if complaint:
            raise FieldError(f"{complaint}; received {value} for {shown}", path=path)
