"""What has no layer: an operation of an imported network that is named and counted in nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from cnncalc.errors import ShapeError
from cnncalc.layers.merge import Merge
from cnncalc.layers.types import PositiveInt

if TYPE_CHECKING:
    from cnncalc.layers.base import Shape

MAX_AXES = 8


class Unknown(Merge):
    """An operation that has no layer: its inputs -> `shape`, as the network was seen to compute.

    It is counted in nothing, and what is behind it sees an unknown part of the image.
    """

    kind = "unknown"
    operation: str
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=MAX_AXES)]

    def output_shape(self, *xs: Shape) -> Shape:
        return self.shape

    def build(self, nn: Any, *xs: Shape) -> Any:
        return nn.Unknown(self.operation)

    def refusal(self) -> ShapeError:
        """The error of whoever would build it."""
        return ShapeError(
            f"{self.operation} has no layer: the network can be tabulated, not built",
            hint="write what it does with other layers in its place",
        )
