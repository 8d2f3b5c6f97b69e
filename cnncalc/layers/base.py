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
from cnncalc.maths.windows import SAME, Reach, Window
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
    main: ClassVar[str | None] = None
    """The field of the scalar shorthand; the first required one unless a class names another."""
    flops_per_output: ClassVar[int | None] = None
    """Floating-point operations for each output; None: no rule, `flops` is unknown."""
    several: ClassVar[bool] = False
    """Whether it takes several inputs."""
    joins: ClassVar[bool] = False
    """Whether it may stand above branches, whose outputs it takes."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        kind = cls.__dict__.get("kind")
        if kind is None:
            return  # a family's base class, not a layer
        if not kind.isidentifier() or kind in REGISTRY:
            raise TypeError(f"{cls.__name__}: kind {kind!r} is taken or no identifier")
        if cls.main is None:
            required = (name for name, field in cls.model_fields.items() if field.is_required())
            cls.main = next(required, None)
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


class Windowed(Layer):
    """A layer that slides one window over each spatial axis: convolution, pooling, padding."""

    def window(self, x: Shape) -> tuple[Window, ...]:
        """The window on each spatial axis of `x`: all that such a layer says of geometry."""
        raise NotImplementedError

    def output_channels(self, x: Shape) -> Expr | int:
        return x[0]

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        self.require_axes(x)
        windows = self.window(x)
        sizes = tuple(window.output_size(n) for window, n in zip(windows, x[1:], strict=True))
        if any(size.value < 1 for size in sizes):
            slides = any(window.kernel > 1 for window in windows)
            raise ShapeError(
                self._too_large(x, windows),
                hint="use a smaller window, more padding, or fewer strides above it"
                if slides
                else "",
            )
        return (self.output_channels(x), *sizes)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (SAME, *self.window(x))

    def _too_large(self, x: Shape, windows: tuple[Window, ...]) -> str:
        extents = write_shape(tuple(window.extent for window in windows))
        padded = tuple(n + w.before + w.after for n, w in zip(x[1:], windows, strict=True))
        with_padding = "" if padded == x[1:] else f", {write_shape(padded)} with its padding"
        return f"its window of {extents} is larger than its input of {write_shape(x)}{with_padding}"


def outputs_of(shape: Sequence[Expr | int]) -> Expr:
    """Number of units of a shape, with its worked product."""
    return product(int(size) for size in shape) if shape else ONE
