"""Rectifiers: activations that are straight above 0."""

from __future__ import annotations

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Activation, Shape, Weights
from cnncalc.layers.types import PositiveInt
from cnncalc.maths.formula import sym


class Relu(Activation):
    """max(0, x)."""

    kind = "relu"
    torch_name = "ReLU"


class Relu6(Activation):
    """min(max(0, x), 6)."""

    kind = "relu6"
    torch_name = "ReLU6"


class LeakyRelu(Activation):
    """x, or `negative_slope`·x below 0."""

    kind = "leaky_relu"
    torch_name = "LeakyReLU"
    main = "negative_slope"
    negative_slope: float = 0.01


class Prelu(Activation):
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


class Elu(Activation):
    """x, or alpha·(exp(x) − 1) below 0."""

    kind = "elu"
    torch_name = "ELU"
    main = "alpha"
    alpha: float = 1.0


class Selu(Activation):
    """The self-normalising ELU of Klambauer et al. 2017."""

    kind = "selu"
    torch_name = "SELU"
