"""Smooth activations: every number by itself, save the two softmaxes, which see one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Activation, Shape
from cnncalc.layers.types import Positive
from cnncalc.maths.windows import SAME, WHOLE, Reach
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence


class Gelu(Activation):
    """x·Φ(x), or its tanh approximation."""

    kind = "gelu"
    torch_name = "GELU"
    main = "approximate"
    approximate: Literal["none", "tanh"] = "none"


class Silu(Activation):
    """x·sigmoid(x), also called swish."""

    kind = "silu"
    also_called = ("swish",)
    torch_name = "SiLU"


class Mish(Activation):
    """x·tanh(softplus(x))."""

    kind = "mish"
    torch_name = "Mish"


class Softplus(Activation):
    """log(1 + exp(beta·x))/beta, linear above `threshold`."""

    kind = "softplus"
    torch_name = "Softplus"
    beta: Positive = 1.0
    threshold: float = 20.0


class Sigmoid(Activation):
    """1/(1 + exp(−x))."""

    kind = "sigmoid"
    torch_name = "Sigmoid"


class Hardsigmoid(Activation):
    """min(max(0, x + 3), 6)/6."""

    kind = "hardsigmoid"
    torch_name = "Hardsigmoid"


class Hardswish(Activation):
    """x·min(max(0, x + 3), 6)/6."""

    kind = "hardswish"
    torch_name = "Hardswish"


class Tanh(Activation):
    """The hyperbolic tangent."""

    kind = "tanh"
    torch_name = "Tanh"


class Softmax(Activation):
    """Positive numbers that sum to 1 along axis `dim`, counted with the batch first."""

    kind = "softmax"
    torch_name = "Softmax"
    dim: Annotated[int, Field(ge=-4, le=4)] = 1

    def _axis(self, x: Shape) -> int:
        axis = self.dim - 1 if self.dim > 0 else self.dim + len(x)
        if self.dim == 0 or not 0 <= axis < len(x):
            raise ShapeError(
                f"dim {self.dim} is no axis of {write_shape(x)}",
                hint=f"axes are counted with the batch as 0: 1 to {len(x)}",
            )
        return axis

    def output_shape(self, x: Shape) -> Shape:
        self._axis(x)
        return x

    def reach(self, x: Shape) -> Sequence[Reach]:
        return tuple(WHOLE if axis == self._axis(x) else SAME for axis in range(len(x)))

    def is_hollow(self, y: Any) -> bool:
        """Of an axis of one number, which is 1."""
        return bool(y.min() > 1 - 1e-9)

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, self.torch_name)(dim=self.dim)


class LogSoftmax(Softmax):
    """The logarithm of softmax."""

    kind = "log_softmax"
    torch_name = "LogSoftmax"

    def is_hollow(self, y: Any) -> bool:
        return super().is_hollow(y.exp())
