"""What one place sees of the image, by the gradient of its numbers, beside what its fields say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cnncalc.verification.fields.steps import (
    TOLERANCE,
    Interval,
    Place,
    describe,
    interval_of,
    seed_of,
    write_interval,
)

if TYPE_CHECKING:
    from cnncalc.maths.receptive_fields import Field
    from cnncalc.verification.fields.steps import Fields
    from cnncalc.verification.fields.traits import Traits

LOUD = 2.0**300
FAINT = 1e-290
"""A gradient starts loud; where it fades below this, some of it may have been lost."""


class View(NamedTuple):
    """What is said of one node."""

    claimed: Fields
    """Its fields in the table."""
    clipped: Fields
    """The same, cut off at the image."""
    traits: Traits


def wrong_pixels(y: Tensor, image: Tensor, place: Place, view: View) -> str:
    """How what a place of `y` sees differs from its fields; empty where it does not.

    It must see its clipped field from end to end and no pixel outside its claimed one; of that too
    it must see all if it lies inside the image and counts no pixels that were cut away. A partial
    node may see less.
    """
    traits = view.traits
    strengths = _strengths(y, image, place)
    for axis, (claimed, clipped) in enumerate(zip(view.claimed, view.clipped, strict=True)):
        counted = not traits.cropped and _is_inside(claimed, place, len(strengths[axis]))
        for field, whole in ((clipped, True), (claimed, counted)):
            exact = whole and not traits.partial
            problem = _wrong(_expected(field, place, view), strengths[axis], traits, exact)
            alone = {along: unit for along, unit in place.items() if along == field.axis}
            if problem and alone != place:
                # At a border one axis may hide from a unit what its field along another counts.
                strength = _strengths(y, image, alone)[axis]
                problem = _wrong(_expected(field, alone, view), strength, traits, exact)
            if problem:
                return f"{describe(place)} {problem} along input axis {axis + 1}"
    return ""


def _strengths(y: Tensor, image: Tensor, place: Place) -> list[Tensor]:
    """For each axis of the image, the largest gradient at each of its pixels."""
    (gradient,) = torch.autograd.grad(
        y,
        image,
        seed_of(y, place) * LOUD,
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    strength = gradient[0].abs()
    return [strength.movedim(axis, 0).flatten(1).amax(1) for axis in range(1, strength.dim())]


def _is_inside(field: Field, place: Place, size: int) -> bool:
    ends = interval_of(field, place)
    return ends is not None and ends[0] >= 0 and ends[1] < size


def _expected(field: Field, place: Place, view: View) -> Interval | None:
    """What a place sees along the axis of a field: nothing if it sees nothing along any axis."""
    for clipped in view.clipped:
        ends = interval_of(clipped, place)
        if ends and ends[0] > ends[1]:
            return ends
    return interval_of(field, place)


def _wrong(expected: Interval | None, strength: Tensor, traits: Traits, exact: bool) -> str:
    """How what is seen fails to lie in `expected`, or to be the whole of it where it is `exact`."""
    if expected is None:
        return ""
    noise = TOLERANCE[strength.dtype] * strength.max() if traits.interpolated else 0
    certain, possible = _hull(strength > noise), _hull(strength > 0)
    lost = not strength.isfinite().all() or (strength[strength > 0] < FAINT).any()
    if _holds(expected, certain) and (not exact or lost or _holds(possible, expected)):
        return ""
    shown = write_interval(certain) if certain else "none"
    return f"sees pixels {shown}, not {write_interval(expected)},"


def _hull(seen: Tensor) -> Interval | None:
    pixels = seen.nonzero().flatten()
    return (int(pixels[0]), int(pixels[-1])) if len(pixels) else None


def _holds(outer: Interval | None, inner: Interval | None) -> bool:
    """Whether `inner` lies in `outer`; nothing lies in anything."""
    if inner is None or inner[0] > inner[1]:
        return True
    return outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1]
