"""What has no layer: an operation of an imported network that is named and counted in nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

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
    joins: ClassVar[bool] = False
    operation: str
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=MAX_AXES)]

    @property
    def stands_for(self) -> str:
        return self.operation

    def output_shape(self, *xs: Shape) -> Shape:
        return self.shape

    def build(self, nn: Any, *xs: Shape) -> Any:
        return nn.Unknown(self.operation)
