"""What a layer's units see of its own inputs, measured by gradients and compared with the table.

A layer is measured by itself, on random numbers of its input shapes. If each layer sees what it
says, and the fields of what it sees add up to its own field, then by induction every field is
right, even where it is larger than the image.

A place is a unit on each axis of a tensor along which fields differ; its units on the other axes,
the channels above all, are taken together.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import prod
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cnncalc.layers.base import Rearrangement
from cnncalc.layers.merge import Merge
from cnncalc.maths.receptive_fields import UNKNOWN, Constant, Field, Uneven, Unknown, through
from cnncalc.verification.fields.transparent import transparent, zero_padded
from cnncalc.wording import write_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cnncalc.layers.base import Layer, Shape
    from cnncalc.network.graph import Node

Place = Mapping[int, int]
Interval = tuple[int, int]
Fields = tuple[Field, ...]
Seen = dict[int, list[int]] | None
"""The units that a place sees on each axis along which an input's fields differ; None: nothing."""

TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-5}
"""Of the largest gradient: below it stands what floats make of an interpolation's 0."""
AFFORDABLE = 16 * 10**9
"""Multiply-adds that the places of one layer may cost; three are always measured."""
COSTLY = "too costly"
CENTRE = 2
"""The centre's index among the places, where there are so many."""
MAX_MULTIPLY_ADDS = 50 * 10**9
MAX_NUMBERS = 2**28
"""2 GiB of float64: what needs more is not measured."""


class Step(NamedTuple):
    """What the places of a layer see of each of its inputs."""

    places: list[Place]
    seen: list[tuple[Seen, ...]]
    hollow: bool = False
    """Whether it cannot depend on all that it sees: a norm or softmax of one number is constant."""
    drops: bool = False
    """Whether it uses some numbers of a place and not others: channels chosen from all."""
    single: tuple[Seen, ...] = ()
    """What one number of the place `CENTRE` sees."""
    samples: int = 1
    problem: str = ""

    @property
    def loose(self) -> bool:
        """Whether one number may see less than all numbers of its place do."""
        return bool(self.seen) and self.single != self.seen[: CENTRE + 1][-1]


def axes_of(fields: Fields) -> tuple[int, ...]:
    """The axes of a tensor along which its fields differ from unit to unit."""
    return tuple(sorted({field.axis for field in fields if field.axis is not None}))


def places_of(axes: tuple[int, ...], shape: Shape) -> list[Place]:
    """First and last corner, centre, two places at random, the other corners; each once."""
    sizes = [shape[axis] for axis in axes]
    random = Random(0)  # noqa: S311 - the same places every time
    first, *others = product(*((0, size - 1) for size in sizes))
    chosen = [first, *others[-1:], tuple(size // 2 for size in sizes)]
    chosen += [tuple(random.randrange(size) for size in sizes) for _ in range(2)]
    return [dict(zip(axes, units, strict=True)) for units in dict.fromkeys([*chosen, *others])]


def seed_of(y: Tensor, place: Place) -> Tensor:
    """A gradient for `y`, (N, *sample): positive random numbers at `place`, zeros elsewhere."""
    index = [slice(None) for _ in y.shape]
    for axis, unit in place.items():
        index[axis + 1] = slice(unit, unit + 1)
    seed = torch.zeros_like(y)
    seed[tuple(index)] = torch.rand_like(seed[tuple(index)]) + 0.5
    return seed


def is_affordable(layer: Layer, shapes: tuple[Shape, ...], output: Shape) -> bool:
    """Whether a layer is small enough to be measured on real numbers."""
    cost = layer.multiply_adds(*shapes).value
    weights = sum(prod(map(int, weight)) for weight in layer.weights(*shapes).values())
    numbers = sum(map(prod, shapes)) + prod(output) + weights
    return cost <= MAX_MULTIPLY_ADDS and numbers <= MAX_NUMBERS


def measure_step(node: Node, before: tuple[Fields, ...], after: Fields, samples: int = 1) -> Step:
    """Measures a layer whose inputs and output have these fields.

    The first of the `samples` that flow in is positive, others are not, lest a flat part of the
    layer hide a path. One sample through a layer that multiplies and adds is of float32, whose
    gradients are its weights, or sums of them; all else is of float64.
    """
    layer, shapes = node.layer, node.input_shapes
    cost = layer.multiply_adds(*shapes).value
    places = places_of(axes_of(after), node.output_shape)
    if cost:
        places = places[: max(3, AFFORDABLE // cost - 1)]
    dtype = torch.float32 if cost and samples == 1 else torch.float64
    module = zero_padded(transparent(layer, shapes, dtype))
    xs = [_samples(shape, samples, dtype) for shape in shapes]
    y = module(*xs)
    if tuple(y.shape[1:]) != node.output_shape:
        return Step([], [], problem=f"its output has the shape {[*y.shape[1:]]}")
    if layer.is_hollow(y):
        return Step([], [], hollow=True, samples=samples)
    axes = [axes_of(fields) for fields in before]
    seen, drops = [], False
    for place in places:
        masks = _masks(y, xs, seed_of(y, place))
        seen.append(tuple(map(_units, masks, axes)))
        drops = drops or any(map(_is_partial, masks, axes))
    centre = places[: CENTRE + 1][-1]
    single = tuple(map(_units, _masks(y, xs, _single(y, centre)), axes))
    return Step(places, seen, drops=drops, single=single, samples=samples)


def _samples(shape: Shape, count: int, dtype: torch.dtype) -> Tensor:
    x = torch.randn(count, *shape, dtype=dtype) * 2
    x[0] = torch.rand(shape, dtype=dtype) + 0.5
    return x.requires_grad_()


def _masks(y: Tensor, xs: list[Tensor], seed: Tensor) -> list[Tensor]:
    """For each input, which of its numbers have a gradient in any sample."""
    if not y.requires_grad:
        return [torch.zeros(x.shape[1:], dtype=torch.bool) for x in xs]
    gradients = torch.autograd.grad(
        y, xs, seed, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    masks = []
    for gradient in gradients:
        strength = gradient.abs()
        largest = strength.flatten(1).amax(1).view(-1, *(1,) * (strength.dim() - 1))
        masks.append((strength > TOLERANCE[y.dtype] * largest).any(0))
    return masks


def _single(y: Tensor, place: Place) -> Tensor:
    """A gradient for one number of each sample, at `place`."""
    seed = torch.zeros_like(y)
    number = tuple(place.get(axis, 0) for axis in range(y.dim() - 1))
    seed.movedim(0, -1)[number] = 1
    return seed


def _units(mask: Tensor, axes: tuple[int, ...]) -> Seen:
    if not mask.any():
        return None
    return {
        axis: mask.movedim(axis, 0)
        .reshape(mask.shape[axis], -1)
        .any(1)
        .nonzero()
        .flatten()
        .tolist()
        for axis in axes
    }


def _is_partial(mask: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether somewhere along `axes` some numbers are seen and others are not."""
    kept = mask.movedim(axes, tuple(range(len(axes)))) if axes else mask
    numbers = kept.flatten(len(axes)) if mask.dim() > len(axes) else kept[..., None]
    return bool((numbers.any(-1) != numbers.all(-1)).any())


def problem_of(node: Node, step: Step, before: tuple[Fields, ...], after: Fields) -> str:
    """Where what was measured contradicts the layer or its field; empty where it does not."""
    if step.problem:
        return step.problem
    stated = [_stated(node, operand, axes_of(fields)) for operand, fields in enumerate(before)]
    for place, seen in zip(step.places, step.seen, strict=True):
        for operand, units in enumerate(seen):
            wrong = _wrong_units(stated[operand], place, units)
            if wrong:
                return f"{describe(place)} {wrong}{_of_input(node, operand)}"
        for axis, field in enumerate(after):
            wrong = _wrong_sum(field, [fields[axis] for fields in before], place, seen)
            if wrong:
                return f"{describe(place)} {wrong} along input axis {axis + 1}"
    return _wrong_number(node, step, stated[0])


def _stated(node: Node, operand: int, axes: tuple[int, ...]) -> dict[int, Field]:
    """What the layer says: on each of `axes`, the input's units that an output unit sees."""
    shape, after = node.input_shapes[operand], node.output_shape
    reaches = node.layer.reach(shape)
    return {
        axis: through(
            Uneven(axis, range(shape[axis]), range(shape[axis])),
            reaches[axis],
            (shape[axis], after[axis] if axis < len(after) else 1),
        )
        for axis in axes
    }


def interval_of(field: Field, place: Place) -> Interval | None:
    """What a field says of a place: of its unit, or of all; None where it says nothing."""
    if isinstance(field, Unknown):
        return None
    if field.axis is None or field.axis not in place:
        return field.low, field.high
    return field.interval(min(place[field.axis], field.count - 1))  # one unit may be broadcast


def _wrong_units(stated: dict[int, Field], place: Place, seen: Seen) -> str:
    expected = {axis: interval_of(field, place) for axis, field in stated.items()}
    if any(interval and interval[0] > interval[1] for interval in expected.values()):
        return "" if seen is None else f"sees {_boxes(seen)}, not nothing,"
    if seen is None:
        return "sees nothing"
    for axis, interval in expected.items():
        if interval and interval != (seen[axis][0], seen[axis][-1]):
            boxes = " × ".join(write_interval(each) for each in expected.values() if each)
            return f"sees units {_boxes(seen)}, not {boxes},"
    return ""


def _wrong_number(node: Node, step: Step, stated: dict[int, Field]) -> str:
    """What is wrong where each number of a layer that computes is to see a whole axis."""
    if isinstance(node.layer, Merge | Rearrangement) or not step.single:
        return ""
    if len(node.output_shape) != len(node.input_shapes[0]):
        return ""  # of axes that do not survive the field is that of all numbers together
    for axis, field in stated.items():
        units = step.single[0][axis] if step.single[0] else []
        if axis and isinstance(field, Constant) and len(units) < node.input_shapes[0][axis]:
            return f"one number sees {len(units)} units of axis {axis} of its input, not all"
    return ""


def _wrong_sum(field: Field, before: list[Field], place: Place, operands: tuple[Seen, ...]) -> str:
    """What is wrong with the sum of the fields of all that a place sees."""
    claimed = interval_of(field, place)
    if claimed is None or any(isinstance(each, Unknown) for each in before):
        return ""
    intervals = [*_intervals(before, operands)]
    if not intervals:
        return ""  # in padding: the layer says so too
    hull = min(low for low, _ in intervals), max(high for _, high in intervals)
    extent = min(each.low for each in before), max(each.high for each in before)  # type: ignore[union-attr]
    if extent[0] <= claimed[0] and claimed[1] <= extent[1]:
        fits = hull == claimed
    else:
        fits = claimed[0] <= hull[0] and hull[1] <= claimed[1]
    return "" if fits else f"sees pixels {write_interval(hull)}, not {write_interval(claimed)},"


def _intervals(before: list[Field], operands: tuple[Seen, ...]) -> Iterator[Interval]:
    for field, seen in zip(before, operands, strict=True):
        if seen is None or field is UNKNOWN:
            continue
        units: Iterable[int] = (0,) if field.axis is None else seen[field.axis]
        yield from (field.interval(unit) for unit in units)  # type: ignore[union-attr]


def describe(place: Place) -> str:
    """`unit 3×7`."""
    return f"unit {write_shape(place.values())}" if place else "the whole output"


def write_interval(interval: Interval) -> str:
    low, high = interval
    return "nothing" if low > high else f"{low}…{high}".replace("-", "−")


def _boxes(seen: dict[int, list[int]]) -> str:
    return " × ".join(write_interval((units[0], units[-1])) for units in seen.values())


def _of_input(node: Node, operand: int) -> str:
    return " of its input" if len(node.inputs) == 1 else f" of its input {operand + 1}"
