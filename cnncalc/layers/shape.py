"""Layers that give the same numbers another shape. Axes are counted with the batch as 0."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.layers.base import Reshaping, Shape
from cnncalc.maths.formula import Expr, product
from cnncalc.maths.windows import WHOLE, Reach, Same
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_AXES = 6


def _axis(name: str, dim: int, x: Shape) -> int:
    """The axis of the sample that PyTorch calls `dim`, the batch being 0."""
    axis = dim - 1 if dim > 0 else dim + len(x)
    if dim == 0 or not 0 <= axis < len(x):
        raise ShapeError(
            f"{name} {dim} is no axis of {write_shape(x)}",
            hint=f"axes are counted with the batch as 0: 1 to {len(x)}, or -1 for the last",
        )
    return axis


def _reshaped_reach(x: Shape, y: Shape) -> Sequence[Reach]:
    """An axis survives a reshape if as many numbers lie before it and it has the same length."""
    reaches: list[Reach] = []
    after = {(prod(y[:axis]), size): axis for axis, size in enumerate(y) if size > 1}
    for axis, size in enumerate(x):
        kept = after.get((prod(x[:axis]), size))
        reaches.append(WHOLE if kept is None else Same(kept))
    return tuple(reaches)


class Identity(Reshaping):
    """Passes its input on."""

    kind = "identity"

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Identity()


class Flatten(Reshaping):
    """Axes `start_dim` to `end_dim` as one: (C, H, W) -> (C·H·W,)."""

    kind = "flatten"
    start_dim: int = 1
    end_dim: int = -1

    def output_shape(self, x: Shape) -> tuple[Expr | int, ...]:
        start, end = _axis("start_dim", self.start_dim, x), _axis("end_dim", self.end_dim, x)
        if start > end:
            raise ShapeError("start_dim comes after end_dim")
        return (*x[:start], product(x[start : end + 1]), *x[end + 1 :])

    def reach(self, x: Shape) -> Sequence[Reach]:
        return _reshaped_reach(x, tuple(int(size) for size in self.output_shape(x)))

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Flatten(**self.non_default("start_dim", "end_dim"))


class Unflatten(Reshaping):
    """Axis `dim` as several of `unflattened_size`; one of them may be -1."""

    kind = "unflatten"
    unflattened_size: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_AXES)]
    dim: int = 1

    def output_shape(self, x: Shape) -> Shape:
        axis = _axis("dim", self.dim, x)
        shape = (*x[:axis], *_fill(self.unflattened_size, x[axis]), *x[axis + 1 :])
        return _check_axes(shape)

    def reach(self, x: Shape) -> Sequence[Reach]:
        return _reshaped_reach(x, self.output_shape(x))

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Unflatten(self.dim, self.unflattened_size)


class Reshape(Reshaping):
    """The sample in another `shape`, without the batch axis; one length may be -1."""

    kind = "reshape"
    shape: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_AXES)]

    def output_shape(self, x: Shape) -> Shape:
        return _check_axes(_fill(self.shape, prod(x)))

    def reach(self, x: Shape) -> Sequence[Reach]:
        return _reshaped_reach(x, self.output_shape(x))

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Unflatten(1, self.shape) if len(x) == 1 else nn.Reshape(*self.shape)


class Permute(Reshaping):
    """Axes in another order: `dims` as `Tensor.permute` takes them, [0, 2, 3, 1] for example."""

    kind = "permute"
    dims: Annotated[tuple[int, ...], Field(min_length=2, max_length=MAX_AXES + 1)]

    def output_shape(self, x: Shape) -> Shape:
        if self.dims[0] != 0 or sorted(self.dims) != [*range(len(x) + 1)]:
            raise ShapeError(
                f"dims must order the axes 0 to {len(x)}; received {list(self.dims)}",
                hint="axes are counted with the batch as 0, which stays first",
            )
        return tuple(x[dim - 1] for dim in self.dims[1:])

    def reach(self, x: Shape) -> Sequence[Reach]:
        return tuple(Same(self.dims.index(axis + 1) - 1) for axis in range(len(x)))

    def build(self, nn: Any, x: Shape) -> Any:
        return nn.Permute(*self.dims)


def _fill(shape: Shape, numbers: int) -> Shape:
    """`shape` with its -1, if it has one, worked out for so many numbers."""
    known = prod(size for size in shape if size != -1)
    unknown = shape.count(-1)
    if unknown > 1 or any(size < 1 and size != -1 for size in shape):
        raise ShapeError(f"{list(shape)} is no shape", hint="lengths are positive; one may be -1")
    if numbers % known if unknown else numbers != known:
        raise ShapeError(f"{numbers} numbers do not fit the shape {list(shape)}")
    return tuple(numbers // known if size == -1 else size for size in shape)


def _check_axes(shape: Shape) -> Shape:
    if len(shape) > MAX_AXES:
        raise ShapeError(f"the output would have {len(shape)} axes; at most {MAX_AXES}")
    return shape
