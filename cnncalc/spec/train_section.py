"""How a network is trained: the fields of `train:` and their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, PrivateAttr

from cnncalc.spec.text import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnncalc.errors import Place

MOST = 2**32 - 1
Natural = Annotated[int, Field(ge=0, le=MOST)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the recipe, or all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    main: ClassVar[str] = "name"
    """The field of the scalar shorthand: `data: mnist`."""
    owners: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields that belong to some choices of `name` alone."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Choices of `name`, and the field that each cannot do without."""


class DataRecipe(Section):
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


OPTIMIZERS = (
    *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd"),
    *("muon", "nadam", "radam", "rmsprop", "rprop", "sgd"),
)
"""What editors suggest. Which there are is known to PyTorch, and to `training/step/optimizers`."""


class OptimizerRecipe(Section):
    """The optimizer, by its name in torch.optim."""

    of_any: ClassVar[tuple[str, ...]] = ("name", "lr", "decay_all", "no_decay", "options")
    """Fields of every optimizer; the others go to its class, which may not have them."""

    name: str = Field(
        default="sgd",
        description="sgd, adam, adamw, rmsprop, or any of torch.optim",
        examples=[*OPTIMIZERS],
    )
    lr: Positive = Field(default=0.1, description="The learning rate that the schedule scales.")
    momentum: Share | None = Field(default=None, description="Of sgd and rmsprop.")
    nesterov: bool = Field(default=False, description="Of sgd; needs momentum.")
    betas: tuple[Share, Share] | None = Field(default=None, description="Of adam and its kin.")
    weight_decay: NotNegative = Field(default=0.0, description="As the optimizer defines it.")
    decay_all: bool = Field(
        default=False,
        description="Decay biases and normalisation as well; else only weights of several axes.",
    )
    no_decay: tuple[str, ...] = Field(
        default=(),
        description='Weights spared besides, by name or pattern: ["stem.*", "linear1.weight"].',
    )
    options: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Further options of the class in torch.optim."
    )


class ScheduleRecipe(Section):
    """How the learning rate goes. It changes at every step; epochs may be fractions."""

    owners: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "every": ("step",),
        "at": ("multistep",),
        "factor": ("step", "multistep"),
        "final": ("cosine", "linear", "onecycle"),
        "warmup": ("constant", "step", "multistep", "cosine", "linear"),
        "rise": ("onecycle",),
    }
    needs: ClassVar[Mapping[str, str]] = {"step": "every", "multistep": "at"}

    name: Literal["constant", "step", "multistep", "cosine", "onecycle", "linear"] = Field(
        default="constant", description="The shape of the curve after the warm-up."
    )
    every: Positive | None = Field(default=None, description="Of step: epochs between two drops.")
    at: tuple[Positive, ...] = Field(default=(), description="Of multistep: epochs of the drops.")
    factor: Positive = Field(default=0.1, description="Of step and multistep: each drop's factor.")
    final: NotNegative = Field(
        default=0.0, description="Of cosine, linear and onecycle: the last rate, as a share of lr."
    )
    warmup: NotNegative = Field(
        default=0.0, description="Epochs of linear warm-up from 0; not of onecycle."
    )
    rise: Share = Field(default=0.3, description="Of onecycle: share of the steps that rise.")


class AugmentRecipe(Section):
    """What happens to training images, on the device, each by itself; mixing is drawn by batch."""

    main: ClassVar[str] = "crop"

    crop: Natural = Field(default=0, description="Pixels of zeros around, then a random crop.")
    flip: bool = Field(default=False, description="Left and right, with probability 1/2.")
    cutout: Natural = Field(default=0, description="Side of a square that is blanked; 0: none.")
    color_jitter: Share = Field(
        default=0.0, description="Largest relative change of brightness, contrast and saturation."
    )
    mixup: NotNegative = Field(default=0.0, description="Alpha of mixup's beta law; 0: none.")
    cutmix: NotNegative = Field(default=0.0, description="Alpha of cutmix's beta law; 0: none.")


class LossRecipe(Section):
    """What is minimised."""

    owners: ClassVar[Mapping[str, tuple[str, ...]]] = {"label_smoothing": ("cross_entropy",)}

    name: Literal["cross_entropy", "mse", "nll"] = Field(
        default="cross_entropy",
        description="cross_entropy of logits, nll of log-probabilities, mse against one-hot.",
    )
    label_smoothing: Share = Field(
        default=0.0, description="Of cross_entropy, in training: the share spread over all classes."
    )


class Recipe(Section):
    """Every choice of a training run; each has a default."""

    data: DataRecipe = Field(default=DataRecipe(), description="What is trained on.")
    epochs: Positive = Field(
        default=10, description="Passes over the training data; may be a fraction."
    )
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
    seed: Natural = Field(
        default=0,
        description="Of weights (unless init has one), order, augmentation, what is held out.",
    )
    evaluate_every: Count = Field(
        default=1, description="Epochs between two evaluations; the end is always evaluated."
    )
    patience: Count | None = Field(
        default=None, description="Evaluations without a better validation loss before it stops."
    )

    _fields: Any = PrivateAttr(default_factory=dict)
    """What it was read from."""

    def steps_per_epoch(self, samples: int) -> int:
        """Batches of `samples` images; the last may be short."""
        return -(-samples // self.batch_size)

    def total_steps(self, steps_per_epoch: int) -> int:
        """`steps`, or those of its epochs: at least one."""
        return self.steps or max(round(self.epochs * steps_per_epoch), 1)

    def place(self, path: str) -> Place | None:
        """Where `train.optimizer.lr` stands, or what should hold it; None if in no file."""
        container, place = self._fields, None
        for key in path.split(".")[1:]:
            if not isinstance(container, dict):
                break
            place = place_of(container, key)
            container = container.get(key)
        return place


SECTIONS: dict[str, type[Section]] = {
    "data": DataRecipe,
    "optimizer": OptimizerRecipe,
    "schedule": ScheduleRecipe,
    "loss": LossRecipe,
    "augment": AugmentRecipe,
}
