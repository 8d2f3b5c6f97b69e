"""Joins: layers of several inputs. A `residual` of the file format is an `add`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Layer, Shape, Weights
from cnncalc.maths.formula import ZERO, Expr, product, total
from cnncalc.maths.windows import SAME, WHOLE, Reach
from cnncalc.wording import write_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Merge(Layer):
    """A join of two or more inputs. The analysis takes the hull of their receptive fields.

    `function` and `symbol` are the operator of Python that takes its inputs two at a time.
    """

    torch_name: ClassVar[str]
    several: ClassVar[bool] = True
    joins: ClassVar[bool] = True
    function: ClassVar[str]
    symbol: ClassVar[str]
    container: ClassVar[str]
    """What joins branches so in exported source: a class of its `containers.py`."""

    @classmethod
    def compute(cls, _: Any, call: Callable[..., Any], operands: Sequence[Any]) -> Any:
        """The join by `call(function, arguments, **options)` of PyTorch or Python."""
        value, *others = operands
        for operand in others:
            value = call(getattr(operator, cls.function), (value, operand))
        return value

    @classmethod
    def source(cls, operands: Sequence[str]) -> str:
        """The same as Python source of the names of its inputs."""
        return f" {cls.symbol} ".join(operands)

    def output_shape(self, *xs: Shape) -> tuple[Expr | int, ...]:
        raise NotImplementedError

    def weights(self, *xs: Shape) -> Weights:
        return {}

    def buffers(self, *xs: Shape) -> dict[str, Shape]:
        return {}

    def parameters(self, *xs: Shape) -> Expr:
        return ZERO

    def multiply_adds(self, *xs: Shape) -> Expr:
        return ZERO

    def flops(self, *xs: Shape) -> Expr | None:
        """One for each output and operand after the first."""
        outputs = product(int(size) for size in self.output_shape(*xs))
        return outputs if len(xs) == 2 else (len(xs) - 1) * outputs

    def build(self, nn: Any, *xs: Shape) -> Any:
        return getattr(nn, self.torch_name)()

    def _mismatch(self, xs: tuple[Shape, ...], rule: str) -> ShapeError:
        received = write_shapes(xs)
        return ShapeError(f"{rule}; received {received}")


class Add(Merge):
    """The sum of its inputs, all of one shape."""

    kind = "add"
    torch_name = "Add"
    function = "add"
    symbol = "+"
    container = "Sum"

    def output_shape(self, *xs: Shape) -> Shape:
        if any(x != xs[0] for x in xs):
            raise self._mismatch(xs, "its inputs must have equal shapes")
        return xs[0]


class Multiply(Merge):
    """The product of its inputs; axes of length 1 are broadcast (squeeze-and-excitation)."""

    kind = "multiply"
    torch_name = "Multiply"
    function = "mul"
    symbol = "*"
    container = "Product"

    def output_shape(self, *xs: Shape) -> Shape:
        if any(len(x) != len(xs[0]) for x in xs):
            raise self._mismatch(xs, "its inputs must have equally many axes")
        shape = tuple(max(sizes) for sizes in zip(*xs, strict=True))
        if any(size not in (1, full) for x in xs for size, full in zip(x, shape, strict=True)):
            raise self._mismatch(xs, "the axes of its inputs must be equal or 1")
        return shape


class Concat(Merge):
    """The channels of its inputs, one after another; the other axes must be equal."""

    kind = "concat"
    torch_name = "Concat"
    container = "Concat"
    flops_per_output: ClassVar[int | None] = 0

    def output_shape(self, *xs: Shape) -> tuple[Expr | int, ...]:
        if any(x[1:] != xs[0][1:] for x in xs):
            raise self._mismatch(xs, "its inputs must have equal sizes but for their channels")
        return (total(x[0] for x in xs), *xs[0][1:])

    def reach(self, x: Shape, /) -> Sequence[Reach]:
        return (WHOLE, *(SAME for _ in x[1:]))

    def flops(self, *xs: Shape) -> Expr | None:
        return ZERO

    @classmethod
    def compute(cls, torch: Any, call: Callable[..., Any], operands: Sequence[Any]) -> Any:
        return call(torch.cat, ([*operands],), dim=1)

    @classmethod
    def source(cls, operands: Sequence[str]) -> str:
        return f"torch.cat([{', '.join(operands)}], dim=1)"
