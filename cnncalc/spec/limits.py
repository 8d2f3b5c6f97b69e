"""How large a network may be, so that no file can hang or exhaust the machine."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnncalc.errors import LimitError
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NODES = 25_000
MAX_AXIS = 2**31
MAX_ELEMENTS = 2**53


def check_bounds(what: str, sizes: Sequence[int]) -> None:
    """Raises `LimitError` for a tensor that no machine holds."""
    if max(sizes, default=0) >= MAX_AXIS or prod(sizes) >= MAX_ELEMENTS:
        raise LimitError(
            f"{what} of {write_shape(sizes)} is too large",
            hint="an axis is below 2³¹ and a tensor below 2⁵³ numbers",
        )
