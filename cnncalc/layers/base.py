"""What a layer is: one class that says everything about itself.

A layer sees one sample: shapes are `(C, *sizes)` or `(N,)`, without the batch axis. Fields
carry PyTorch's names and defaults; where PyTorch counts axes with the batch first, so do they.
Subclassing registers the class under its `kind`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from cnncalc.errors import ShapeError
from cnncalc.maths.formula import ONE, ZERO, Expr, expr, product, sym, total
from cnncalc.maths.windows import SAME, Reach
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Shape = tuple[int, ...]
Weights = dict[str, tuple[Expr | int, ...]]

REGISTRY: dict[str, type[Layer]] = {}
"""Every imported layer class by its kind. `cnncalc.layers.find` imports on demand."""


class Layer(BaseModel):
    """One layer of a network, or one join.

    A subclass states its fields and overrides what differs from a layer that maps every number
    by itself: `output_shape`, `reach`, `weights`, `buffers`, `multiply_adds`, `flops`, `build`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
    )

    kind: ClassVar[str] = ""
    also_called: ClassVar[tuple[str, ...]] = ()
    """What other libraries and books call it, in small letters. Not inherited."""
    fields_also_called: ClassVar[Mapping[str, str]] = {}
    """What other libraries call its fields."""
    main: ClassVar[str | None] = None
    """The field of the scalar shorthand; the first required one unless a class names another."""
    flops_per_output: ClassVar[int | None] = None
    """Floating-point operations for each output; None: no rule, `flops` is unknown."""
    several: ClassVar[bool] = False
    """Whether it takes several inputs."""
    joins: ClassVar[bool] = False
    """Whether it may stand above branches, whose outputs it takes."""
    keeps_numbers: ClassVar[bool] = False
    """Whether its output holds its input's numbers, all of them and no others, in training too."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        kind = cls.__dict__.get("kind")
        if kind is None:
            return  # a family's base class, not a layer
        if not kind.isidentifier():
            raise TypeError(f"{cls.__name__}: kind {kind!r} is no identifier")
        if kind in REGISTRY:
            other = REGISTRY[kind]
            owner = f"{other.__module__}.{other.__qualname__}"
            raise TypeError(f"{cls.__name__}: kind {kind!r} is taken by {owner}")
        if cls.main is None:
            required = (name for name, field in cls.model_fields.items() if field.is_required())
            cls.main = next(required, None)
        cls.also_called = cls.__dict__.get("also_called", ())
        REGISTRY[kind] = cls

    @property
    def stands_for(self) -> str | None:
        """An operation that has no layer: it is counted in nothing and cannot be built."""
        return None

    def output_shape(self, x: Shape, /) -> tuple[Expr | int, ...]:
        """Shape of the output for an input of shape `x`. Raises `ShapeError`."""
        return x

    def reach(self, x: Shape, /) -> Sequence[Reach]:
        """For each input axis, which of its units an output unit sees."""
        return (SAME,) * len(x)

    def weights(self, x: Shape, /) -> Weights:
        """Name and shape of each learnable tensor."""
        return {}

    def buffers(self, x: Shape, /) -> Mapping[str, Shape]:
        """Name and shape of each tensor that is kept but not learnt."""
        return {}

    def parameters(self, x: Shape, /) -> Expr:
        """Number of learnable numbers, from `weights`."""
        weights = self.weights(x)
        weight, bias = weights.get("weight"), weights.get("bias")
        if weight and bias and len(weights) == 2:
            if [*map(int, weight)] == [*map(int, bias)]:
                return expr(2) * product(weight)
            if len(bias) == 1 and int(weight[0]) == int(bias[0]):  # (K·k·k·D + 1) per filter
                return sym("out", weight[0]) * (product(weight[2:], "k") * weight[1] + 1)
        return total(product(shape) for shape in weights.values())

    def multiply_adds(self, x: Shape, /) -> Expr:
        """Multiply-adds for one sample; only convolutions and linear layers have any."""
        return ZERO

    def flops(self, x: Shape, /) -> Expr | None:
        """Floating-point operations for one sample; None where there is no rule."""
        if self.flops_per_output is None:
            return None
        if self.flops_per_output == 0:
            return ZERO
        outputs = product(self.output_shape(x))
        return outputs if self.flops_per_output == 1 else self.flops_per_output * outputs

    @property
    def interpolates(self) -> bool:
        """Whether outputs are weighted means of inputs at places between theirs."""
        return False

    def is_hollow(self, y: Any, /) -> bool:
        """Whether its outputs, the tensor `y`, are the same whatever came in."""
        return False

    def build(self, nn: Any, x: Shape, /) -> Any:
        """The layer as a module of the namespace `nn`: `torch.nn` and a few of our own."""
        raise NotImplementedError

    def non_default(self, *names: str) -> dict[str, Any]:
        """Those of the named fields whose values differ from their defaults."""
        defaults, values = _defaults(type(self)), vars(self)
        return {name: values[name] for name in names if values[name] != defaults[name]}

    def require_axes(self, x: Shape) -> None:
        """Raises `ShapeError` unless `x` has channels and one, two or three spatial axes."""
        if not 1 < len(x) <= 4:
            need = "[C, L], [C, H, W] or [C, D, H, W]"
            raise ShapeError(f"needs an input of {need}; received {write_shape(x)}")


@cache
def _defaults(layer: type[Layer]) -> dict[str, Any]:
    fields = layer.model_fields
    return {name: fields[name].get_default(call_default_factory=True) for name in fields}


class Elementwise(Layer):
    """A layer that changes numbers but no shape, one flop an output: every activation."""

    flops_per_output: ClassVar[int | None] = 1


class Activation(Elementwise):
    """Built as `nn.<torch_name>` with those fields that differ from their defaults."""

    torch_name: ClassVar[str]

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, self.torch_name)(**self.non_default(*type(self).model_fields))


class Rearrangement(Layer):
    """A layer that moves, repeats or drops numbers and computes nothing."""

    flops_per_output: ClassVar[int | None] = 0


class Reshaping(Rearrangement):
    """A layer after which the numbers are what they were: only their axes change."""

    keeps_numbers: ClassVar[bool] = True


def outputs_of(shape: Sequence[Expr | int]) -> Expr:
    """Number of units of a shape, with its worked product."""
    return product(int(size) for size in shape) if shape else ONE
