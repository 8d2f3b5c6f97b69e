"""Receptive fields: the interval of input pixels that each unit of an axis sees.

A `Field` speaks of one axis of the network's input; a tensor has one field for each. While the
intervals are evenly spaced three integers say it all (`Even`). Where they are not, the interval
of each unit is kept (`Uneven`); where all units see the same, it is kept once (`Constant`).
Fields are not clipped to the image, as in Araujo et al., "Computing Receptive Fields of
Convolutional Neural Networks" (Distill, 2019): `low` may be negative, in the padding. An
uneven field has no units outside the axis, so there padding adds nothing.

What this form cannot say: a field is one for all channels, so what `slice` drops after a `concat`
still counts; an even field goes on past its ends, so padding after a `crop` counts the pixels that
were cut away, and reflected or circular padding counts as pixels beyond the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from cnncalc.maths.formula import Expr, sym
from cnncalc.maths.windows import Listed, Reach, Same, Transposed, Whole, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_UNITS = 2**18
"""Longest axis whose intervals are kept one by one; beyond it the field is `UNKNOWN`."""
NOTHING = (2**63, -(2**63))
"""The interval of a unit that sees no pixel: in the gaps that a transposed convolution with a
stride over its kernel leaves, or in padding. It adds nothing to a hull."""


@dataclass(frozen=True)
class Even:
    """Unit u of `axis` sees the `size` pixels from `start + u·jump`; `count` units."""

    axis: int
    size: int
    jump: int | None
    start: int
    count: int

    @property
    def low(self) -> int:
        return self.start

    @property
    def high(self) -> int:
        return self.start + (self.jump or 0) * (self.count - 1) + self.size - 1

    def interval(self, unit: int) -> tuple[int, int]:
        low = self.start + unit * (self.jump or 0)
        return low, low + self.size - 1


@dataclass(frozen=True)
class Uneven:
    """Unit u of `axis` sees the pixels `lows[u]` to `highs[u]`, both included, or `NOTHING`."""

    axis: int
    lows: Sequence[int]
    highs: Sequence[int]

    @property
    def count(self) -> int:
        return len(self.lows)

    @cached_property
    def size(self) -> int:
        return max(0, *(high - low + 1 for low, high in zip(self.lows, self.highs, strict=True)))

    @cached_property
    def jump(self) -> int | None:
        """The spacing if all units see as much and lie as far apart, else None."""
        if len(self.lows) < 2:
            return None
        jump = self.lows[1] - self.lows[0]
        even = all(b - a == jump for ends in (self.lows, self.highs) for a, b in pairwise(ends))
        return jump if even and jump else None

    @cached_property
    def ascends(self) -> bool:
        """Whether a later unit never sees an earlier first or last pixel."""
        return all(a <= b for ends in (self.lows, self.highs) for a, b in pairwise(ends))

    @property
    def start(self) -> int | None:
        return self.lows[0] if self.lows[0] <= self.highs[0] else None

    @cached_property
    def low(self) -> int:
        return min(self.lows)

    @cached_property
    def high(self) -> int:
        return max(self.highs)

    def interval(self, unit: int) -> tuple[int, int]:
        return self.lows[unit], self.highs[unit]


@dataclass(frozen=True)
class Constant:
    """Every unit of the tensor sees the pixels `low` to `high`, both included, or `NOTHING`."""

    low: int
    high: int

    axis = None
    jump = None

    @property
    def size(self) -> int:
        return max(0, self.high - self.low + 1)

    @property
    def start(self) -> int | None:
        return self.low if self.low <= self.high else None

    def interval(self, unit: int) -> tuple[int, int]:
        return self.low, self.high


@dataclass(frozen=True)
class Unknown:
    """A field over more units than are followed one by one."""

    axis = size = jump = start = None


UNKNOWN = Unknown()
Field = Even | Uneven | Constant | Unknown


def input_fields(shape: tuple[int, ...]) -> tuple[Field, ...]:
    """The fields of the input itself, `(C, *sizes)`: one for each spatial axis."""
    return tuple(Even(axis, 1, 1, 0, size) for axis, size in enumerate(shape[1:], start=1))


def through(field: Field, reach: Reach, sizes: tuple[int, int]) -> Field:
    """The field behind a layer that sees `field`'s axis by `reach`; `sizes`: axis in and out."""
    if isinstance(field, Constant | Unknown):
        return field
    if isinstance(reach, Same):
        if reach.axis is None or reach.axis == field.axis:
            return field
        return replace(field, axis=reach.axis)
    if isinstance(reach, Whole):
        return Constant(field.low, field.high)
    if isinstance(reach, Window):
        return _slide(field, reach, sizes[1])
    return _list_units(field, reach, *sizes)


def even_formula(field: Field, reach: Reach) -> Expr | None:
    """`before + (k − 1)·jump`, where a window slides over an even field; else None."""
    if not isinstance(field, Even) or not isinstance(reach, Window) or field.jump is None:
        return None
    kernel = (sym("k", reach.kernel) - 1) * sym("jump", field.jump)
    grown = kernel if reach.dilation == 1 else sym("d", reach.dilation) * kernel
    return sym("before", field.size) + grown


def _slide(field: Even | Uneven, window: Window, count: int) -> Field:
    if isinstance(field, Even):
        jump = field.jump or 0
        size = field.size + (window.extent - 1) * jump
        start = field.start - window.before * jump
        return Even(field.axis, size, jump * window.stride or None, start, count)
    if count > MAX_UNITS:
        return UNKNOWN
    hull = _hulls(field, window.dilation)
    end = field.count - 1
    intervals = []
    for place in range(-window.before, -window.before + count * window.stride, window.stride):
        # The window's first and last units that are not in the padding.
        first, last = place, place + window.extent - 1
        if first < 0:
            first %= window.dilation
        if last > end:
            last += (end - last) // window.dilation * window.dilation
        intervals.append(hull(first, last) if first <= last else NOTHING)
    return _uneven(field.axis, intervals)


def _list_units(field: Even | Uneven, reach: Transposed | Listed, before: int, count: int) -> Field:
    if count > MAX_UNITS or field.count > MAX_UNITS:
        return UNKNOWN
    if isinstance(reach, Transposed):
        hull = _hulls(field, reach.step)
        seen = (reach.seen_by(unit, before) for unit in range(count))
        return _uneven(field.axis, [NOTHING if units is None else hull(*units) for units in seen])
    hull = _hulls(field, 1)
    return _uneven(field.axis, [hull(*reach.seen_by(unit)) for unit in range(count)])


def _hulls(field: Even | Uneven, step: int) -> Callable[[int, int], tuple[int, int]]:
    """The hull of what the units `first`, `first + step`, … `last` see, as a function of the two.

    Where intervals do not ascend it is looked up in hulls of 1, 2, 4, … units: O(n log n).
    """
    if isinstance(field, Even):
        return lambda first, last: (field.interval(first)[0], field.interval(last)[1])
    starts, ends = field.lows, field.highs
    if field.ascends:
        return lambda first, last: (starts[first], ends[last])
    doubled = [(starts, ends)]

    def hull(first: int, last: int) -> tuple[int, int]:
        level = ((last - first) // step + 1).bit_length() - 1
        while len(doubled) <= level:
            lows, highs = doubled[-1]
            shift = step << len(doubled) - 1
            doubled.append(([*map(min, lows, lows[shift:])], [*map(max, highs, highs[shift:])]))
        lows, highs = doubled[level]
        second = last - (step << level) + step
        return min(lows[first], lows[second]), max(highs[first], highs[second])

    return hull


def _uneven(axis: int, intervals: list[tuple[int, int]]) -> Uneven:
    return Uneven(axis, [low for low, _ in intervals], [high for _, high in intervals])


def joined(
    fields: Sequence[Field], counted: Callable[[Field], Field] = lambda field: field
) -> Field:
    """The field of a join: the hull of its operands', unit by unit.

    An operand of one unit beside longer ones is broadcast: each unit sees its interval. Each hull
    on the way is handed to `counted`, which may give it up.
    """
    first, *others = {id(field): field for field in fields}.values()
    result = first
    for field in others:
        result = counted(_hull(result, field))
    return result


def _hull(a: Field, b: Field) -> Field:
    if a == b:
        return a
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    if isinstance(a, Constant) or isinstance(b, Constant) or a.axis != b.axis:
        return _hull_of_constant(a, b)
    if a.count != b.count:
        single, other = (a, b) if a.count == 1 else (b, a)
        return _hull(Constant(single.low, single.high), other)
    if isinstance(a, Even) and isinstance(b, Even) and (a.jump == b.jump or a.count == 1):
        start, end = min(a.start, b.start), max(a.start + a.size, b.start + b.size)
        return Even(a.axis, end - start, a.jump if a.jump == b.jump else None, start, a.count)
    return _unit_by_unit(a, b, a.axis, a.count)


def _hull_of_constant(a: Even | Uneven | Constant, b: Even | Uneven | Constant) -> Field:
    hull = Constant(min(a.low, b.low), max(a.high, b.high))
    varied, constant = (b, a) if isinstance(a, Constant) else (a, b)
    if not isinstance(constant, Constant) or isinstance(varied, Constant) or varied.count == 1:
        return hull  # they vary along different axes, or not at all
    if (constant.low, constant.high) == (hull.low, hull.high):
        return hull
    return _unit_by_unit(varied, constant, varied.axis, varied.count)


def _unit_by_unit(
    a: Even | Uneven | Constant, b: Even | Uneven | Constant, axis: int, count: int
) -> Field:
    if count > MAX_UNITS:
        return UNKNOWN
    intervals = [(*a.interval(unit), *b.interval(unit)) for unit in range(count)]
    return _uneven(axis, [(min(low, other), max(high, end)) for low, high, other, end in intervals])
