"""How a network is trained: `train:` of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from cnncalc.errors import ExpressionError, FieldError, UsageError, did_you_mean, shorten
from cnncalc.expressions import worked_out
from cnncalc.source import place_of
from cnncalc.validation import check_brackets, unknown_key, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

Natural = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    """A part of the recipe, or all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    main: ClassVar[str] = "name"
    """The field of the scalar shorthand: `data: mnist`."""


class DataRecipe(_Section):
    """What is trained on."""

    name: str = Field(default="digits", description="digits, mnist, cifar10, imagefolder, npz …")
    dir: str | None = Field(default=None, description="Where the data lie already.")
    validation: Share = Field(
        default=0.0, description="Share of the training data held out; it chooses the best."
    )
    resize: Literal["auto", "off"] = Field(
        default="auto", description="auto: images are resized to the network's input."
    )
    corrupt: Literal["error", "skip"] = Field(
        default="error", description="What an unreadable image does."
    )


class OptimizerRecipe(_Section):
    """The optimizer, by its name in torch.optim."""

    name: str = Field(default="sgd", description="sgd, adam, adamw, rmsprop, or any of torch.optim")
    lr: Positive = Field(default=0.1, description="The learning rate that the schedule scales.")
    momentum: Share | None = Field(default=None, description="Of sgd and rmsprop.")
    nesterov: bool = Field(default=False, description="Of sgd.")
    betas: tuple[Share, Share] | None = Field(default=None, description="Of adam and its kin.")
    weight_decay: NotNegative = Field(default=0.0, description="As the optimizer defines it.")
    decay_all: bool = Field(
        default=False,
        description="Decay biases and normalisation as well; else only weights of several axes.",
    )
    options: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Further options of the class in torch.optim."
    )


class ScheduleRecipe(_Section):
    """How the learning rate goes. It changes at every step; epochs may be fractions."""

    name: Literal["constant", "step", "multistep", "cosine", "onecycle", "linear"] = Field(
        default="constant", description="The shape of the curve after the warm-up."
    )
    every: Positive | None = Field(default=None, description="Of step: epochs between two drops.")
    at: tuple[Positive, ...] = Field(default=(), description="Of multistep: epochs of the drops.")
    factor: Positive = Field(default=0.1, description="Of step and multistep: each drop's factor.")
    final: NotNegative = Field(
        default=0.0, description="Of cosine, linear and onecycle: the last rate, as a share of lr."
    )
    warmup: NotNegative = Field(default=0.0, description="Epochs of linear warm-up from 0.")
    rise: Share = Field(default=0.3, description="Of onecycle: share of the steps that rise.")


class AugmentRecipe(_Section):
    """What happens to training images, on the device, each image by itself."""

    main: ClassVar[str] = "crop"

    crop: Natural = Field(default=0, description="Pixels of zeros around, then a random crop.")
    flip: bool = Field(default=False, description="Left and right, with probability 1/2.")
    cutout: Natural = Field(default=0, description="Side of a square that is blanked; 0: none.")
    color_jitter: Share = Field(
        default=0.0, description="Largest relative change of brightness, contrast and saturation."
    )
    mixup: NotNegative = Field(default=0.0, description="Alpha of mixup's beta law; 0: none.")
    cutmix: NotNegative = Field(default=0.0, description="Alpha of cutmix's beta law; 0: none.")


class LossRecipe(_Section):
    """What is minimised."""

    name: Literal["cross_entropy", "mse", "nll"] = Field(
        default="cross_entropy",
        description="cross_entropy of logits, nll of log-probabilities, mse against one-hot.",
    )
    label_smoothing: Share = Field(default=0.0, description="Of cross_entropy.")


class Recipe(_Section):
    """Every choice of a training run; each has a default."""

    data: DataRecipe = Field(default=DataRecipe(), description="What is trained on.")
    epochs: Positive = Field(default=10, description="Passes over the training data.")
    steps: Count | None = Field(default=None, description="Steps in all, instead of epochs.")
    batch_size: Count = Field(default=128, description="Images a step, of all processes together.")
    optimizer: OptimizerRecipe = Field(default=OptimizerRecipe(), description="The optimizer.")
    schedule: ScheduleRecipe = Field(default=ScheduleRecipe(), description="Its learning rate.")
    loss: LossRecipe = Field(default=LossRecipe(), description="What is minimised.")
    augment: AugmentRecipe = Field(default=AugmentRecipe(), description="Of training images.")
    clip: Positive | None = Field(default=None, description="Largest norm of the gradient.")
    accumulate: Count = Field(default=1, description="Parts that a batch is computed in.")
    ema: Share = Field(
        default=0.0, description="Decay of a moving average of the weights; 0: none."
    )
    sync_batch_norm: bool = Field(
        default=True, description="Batch norm over the whole batch where processes share it."
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Of the arithmetic; auto: the faster one that is safe."
    )
    seed: Natural = Field(default=0, description="Of weights, shuffling and augmentation.")
    evaluate_every: Count = Field(default=1, description="Epochs between two evaluations.")
    patience: Count | None = Field(
        default=None, description="Evaluations without a better validation loss before it stops."
    )


SECTIONS: dict[str, type[_Section]] = {
    "data": DataRecipe,
    "optimizer": OptimizerRecipe,
    "schedule": ScheduleRecipe,
    "loss": LossRecipe,
    "augment": AugmentRecipe,
}


def parse_recipe(fields: Mapping[str, Any], parameters: Mapping[str, Any]) -> Recipe:
    """The recipe that `train:` describes, its expressions worked out.

    Raises:
        SpecError: a field is unknown or ill-typed, or does not belong to what was chosen.
    """
    values = _values(fields, parameters, "train")
    for key in values:
        if key not in Recipe.model_fields:
            raise unknown_key(fields, key, Recipe.model_fields, path="train")
        if key in SECTIONS:
            values[key] = _section(key, fields, values[key], parameters)
    recipe = validated(Recipe, values, path="train", raw=fields)
    if "steps" in fields and "epochs" in fields:
        raise FieldError(
            "stands beside epochs",
            place=place_of(fields, "steps", of_key=True),
            path="train.steps",
            hint="say one of the two",
        )
    return recipe


def with_settings(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe with others set on top: `{"optimizer.lr": 0.1, "epochs": 5}`.

    Raises:
        UsageError: a setting has no such place.
    """
    result = dict(fields)
    for path, value in settings.items():
        name, dot, field = path.partition(".")
        if name not in Recipe.model_fields or (dot and name not in SECTIONS):
            hint = did_you_mean(name, Recipe.model_fields)
            raise UsageError(f"train.{path}: there is no such field; {hint}")
        if not dot:
            result[name] = value
            continue
        section = result.get(name, {})
        if not isinstance(section, dict):
            section = {SECTIONS[name].main: section}
        result[name] = {**section, field: value}
    return result


def _section(
    name: str, recipe: Mapping[str, Any], value: Any, parameters: Mapping[str, Any]
) -> _Section:
    cls, path = SECTIONS[name], f"train.{name}"
    raw = recipe[name]
    if not isinstance(raw, dict):
        if value is None or isinstance(value, list | tuple):
            raise FieldError(
                f"must be {cls.main} or a mapping; received {shorten(value)}",
                place=place_of(recipe, name),
                path=path,
            )
        fields: Mapping[str, Any] = {cls.main: value}
    else:
        fields = _values(raw, parameters, path)
    try:
        section = validated(cls, fields, path=path, raw=raw)
        if isinstance(section, ScheduleRecipe):
            _check_schedule(section)
    except FieldError as error:
        raise error.at(place_of(recipe, name)) from None
    return section


def _check_schedule(schedule: ScheduleRecipe) -> None:
    needed = {"step": "every", "multistep": "at"}.get(schedule.name)
    if needed and not getattr(schedule, needed):
        raise FieldError(
            f"{schedule.name} needs {needed}",
            path="train.schedule",
            hint=f"write {{name: {schedule.name}, {needed}: …}}, in epochs",
        )


def _values(fields: Mapping[str, Any], parameters: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The fields with their expressions worked out; lists become tuples, whole numbers floats."""
    check_brackets(fields, path)
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            values[name] = value
            continue
        try:
            known = worked_out(value, parameters)
        except ExpressionError as error:
            raise error.at(place_of(fields, name), f"{path}.{name}") from None
        values[name] = tuple(known) if isinstance(known, list) else known
    return values
