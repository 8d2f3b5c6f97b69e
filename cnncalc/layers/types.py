"""The types of layer fields, and how a value for every axis is spread over the axes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cnncalc.errors import ShapeError

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PerAxis = PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=3)]
"""A positive integer for all spatial axes, or one for each."""
PaddingPerAxis = (
    NonNegativeInt | Annotated[tuple[NonNegativeInt, ...], Field(min_length=1, max_length=3)]
)
WindowPadding = PaddingPerAxis | Literal["same", "valid"]
Ring = Annotated[tuple[NonNegativeInt, NonNegativeInt], Field()]
RingPerAxis = (
    NonNegativeInt | Annotated[tuple[NonNegativeInt | Ring, ...], Field(min_length=1, max_length=3)]
)
"""Units before and after each spatial axis: one number for all, one or a pair for each."""


def spread(name: str, value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """`value` for each of `axes` spatial axes. Raises `ShapeError` if it has another count."""
    if not isinstance(value, tuple):
        return (value,) * axes
    if len(value) != axes:
        raise ShapeError(
            f"{name} has {len(value)} values for {axes} spatial {'axis' if axes == 1 else 'axes'}"
        )
    return value


def spread_ring(
    name: str, value: int | tuple[int | tuple[int, int], ...], axes: int
) -> tuple[tuple[int, int], ...]:
    """Units before and after each of `axes` spatial axes."""
    if not isinstance(value, tuple):
        return ((value, value),) * axes
    if len(value) != axes:
        raise ShapeError(
            f"{name} has {len(value)} values for {axes} spatial {'axis' if axes == 1 else 'axes'}",
            hint="give one number for all, or one number or [before, after] pair for each axis",
        )
    return tuple((item, item) if isinstance(item, int) else item for item in value)
