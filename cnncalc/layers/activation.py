"""Activations: every number by itself, save the two softmaxes, which see one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.formula import sym
from cnncalc.geometry import SAME, WHOLE, Reach
from cnncalc.layers.base import Elementwise, Shape, Weights, write_shape
from cnncalc.layers.types import Positive, PositiveInt

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Activation(Elementwise):
    """Built as `nn.<torch_name>` with those fields that differ from their defaults."""

    torch_name: ClassVar[str]

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, self.torch_name)(**self.non_default(*type(self).model_fields))


class Relu(_Activation):
    """max(0, x)."""

    kind = "relu"
    torch_name = "ReLU"


class Relu6(_Activation):
    """min(max(0, x), 6)."""

    kind = "relu6"
    torch_name = "ReLU6"


class LeakyRelu(_Activation):
    """x, or `negative_slope`·x below 0."""

    kind = "leaky_relu"
    torch_name = "LeakyReLU"
    main = "negative_slope"
    negative_slope: float = 0.01


class Prelu(_Activation):
    """x, or a learnt multiple of x below 0: one for all channels, or one for each."""

    kind = "prelu"
    torch_name = "PReLU"
    main = "num_parameters"
    num_parameters: PositiveInt = 1
    init: float = 0.25

    def output_shape(self, x: Shape) -> Shape:
        if self.num_parameters not in (1, x[0]):
            raise ShapeError(
                f"num_parameters is 1 or the number of channels, {x[0]};"
                f" received {self.num_parameters}"
            )
        return x

    def weights(self, x: Shape) -> Weights:
        return {"weight": (sym("C", self.num_parameters),)}


class Elu(_Activation):
    """x, or alpha·(exp(x) − 1) below 0."""

    kind = "elu"
    torch_name = "ELU"
    main = "alpha"
    alpha: float = 1.0


class Selu(_Activation):
    """The self-normalising ELU of Klambauer et al. 2017."""

    kind = "selu"
    torch_name = "SELU"


class Gelu(_Activation):
    """x·Φ(x), or its tanh approximation."""

    kind = "gelu"
    torch_name = "GELU"
    main = "approximate"
    approximate: Literal["none", "tanh"] = "none"


class Silu(_Activation):
    """x·sigmoid(x), also called swish."""

    kind = "silu"
    torch_name = "SiLU"


class Mish(_Activation):
    """x·tanh(softplus(x))."""

    kind = "mish"
    torch_name = "Mish"


class Softplus(_Activation):
    """log(1 + exp(beta·x))/beta, linear above `threshold`."""

    kind = "softplus"
    torch_name = "Softplus"
    beta: Positive = 1.0
    threshold: float = 20.0


class Sigmoid(_Activation):
    """1/(1 + exp(−x))."""

    kind = "sigmoid"
    torch_name = "Sigmoid"


class Hardsigmoid(_Activation):
    """min(max(0, x + 3), 6)/6."""

    kind = "hardsigmoid"
    torch_name = "Hardsigmoid"


class Hardswish(_Activation):
    """x·min(max(0, x + 3), 6)/6."""

    kind = "hardswish"
    torch_name = "Hardswish"


class Tanh(_Activation):
    """The hyperbolic tangent."""

    kind = "tanh"
    torch_name = "Tanh"


class Softmax(_Activation):
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

    def build(self, nn: Any, x: Shape) -> Any:
        return getattr(nn, self.torch_name)(dim=self.dim)


class LogSoftmax(Softmax):
    """The logarithm of softmax."""

    kind = "log_softmax"
    torch_name = "LogSoftmax"
