"""Layers in which every output sees every number of an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Shape, Weights, outputs_of
from cnncalc.layers.types import PositiveInt
from cnncalc.maths.formula import Expr, product, sym
from cnncalc.maths.windows import SAME, WHOLE, Reach
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Linear(Layer):
    """Affine map of the last axis: (…, in_features) -> (…, out_features). L0, L3."""

    kind = "linear"
    also_called = ("dense", "fc", "fully_connected")
    fields_also_called: ClassVar[Mapping[str, str]] = {"units": "out_features"}
    out_features: PositiveInt
    bias: bool = True

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        return (*x[:-1], self.out_features)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (*(SAME for _ in x[:-1]), WHOLE)

    def weights(self, x: Shape) -> Weights:
        weights: Weights = {"weight": (sym("out", self.out_features), sym("in", x[-1]))}
        return {**weights, "bias": (self.out_features,)} if self.bias else weights

    def multiply_adds(self, x: Shape) -> Expr:
        return product(x[:-1]) * sym("out", self.out_features) * sym("in", x[-1])

    def flops(self, x: Shape) -> Expr | None:
        operations = 2 * self.multiply_adds(x)
        return operations + outputs_of(self.output_shape(x)) if self.bias else operations

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Linear(x[-1], self.out_features, **self.non_default("bias"))


class Rbf(Layer):
    """Squared distance to `out_features` fixed codes: (N,) -> (out_features,).

    The output layer of LeNet-5 (LeCun et al. 1998, section II-B): the codes are a buffer.
    """

    kind = "rbf"
    fields_also_called: ClassVar[Mapping[str, str]] = {"units": "out_features"}
    out_features: PositiveInt

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        if len(x) != 1:
            raise ShapeError(
                f"needs a vector [N]; received {write_shape(x)}", hint="put a flatten before it"
            )
        return (self.out_features,)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return (WHOLE,)

    def buffers(self, x: Shape) -> Mapping[str, Shape]:
        return {"codes": (self.out_features, x[0])}

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.RBF(x[0], self.out_features)
