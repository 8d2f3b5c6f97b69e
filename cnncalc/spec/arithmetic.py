"""Arithmetic that cannot exhaust the machine: what the expressions of a spec compute with.

Every number is bounded by `MAX_MAGNITUDE`, every list and text by `MAX_LENGTH`, at every step.
"""

from __future__ import annotations

import ast
import math
import operator
from typing import TYPE_CHECKING, Any

from cnncalc.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MAGNITUDE = 10**30
MAX_LENGTH = 256

_SEQUENCES = (str, list, tuple)
_NUMBERS = (int, float)
_FLAT = frozenset((int, float, bool, type(None)))


def bounded(value: Any) -> Any:
    """`value`. Raises `OverflowError` if it is too large, too long or not finite."""
    if type(value) is int and -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
        return value  # nearly always
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError("the number is not finite")
    if isinstance(value, _NUMBERS) and abs(value) > MAX_MAGNITUDE:
        raise OverflowError("the number is too large")
    if isinstance(value, _SEQUENCES) and _length(value) > MAX_LENGTH:
        raise OverflowError("the list or text is too long")
    return value


def _length(value: str | list[Any] | tuple[Any, ...]) -> int:
    """Characters of a text, or numbers in a list and the lists within it; cut at the bound."""
    if isinstance(value, str) or len(value) > MAX_LENGTH:
        return len(value)
    length = len(value)
    if _FLAT.issuperset(map(type, value)):
        return length
    for item in value:
        if isinstance(item, _SEQUENCES):
            length += _length(item)
            if length > MAX_LENGTH:
                break
    return length


def whole(value: Any) -> Any:
    """`value`, in which a whole number is an `int`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


def item_of(holder: Any, key: Any) -> Any:
    """`holder[key]`, of a list or text."""
    if not isinstance(holder, _SEQUENCES) or not isinstance(key, int):
        raise TypeError(f"{shorten(holder)} has no item {shorten(key)}")
    if not -len(holder) <= key < len(holder):
        raise IndexError(f"item {key} of a list of {len(holder)}")
    return holder[key]


def divisible(value: float, divisor: int) -> int:
    """`value` rounded to a multiple of `divisor`, never down by over 10%.

    MobileNet's rule (Sandler et al. 2018), as torchvision's `_make_divisible`.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _round(value: float, digits: int | None = None) -> float:
    return round(value) if digits is None else round(value, max(-30, min(digits, 30)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "len": len,
    "divisible": divisible,
}


def _multiply(a: Any, b: Any) -> Any:
    for count, sequence in ((a, b), (b, a)):
        repeated = isinstance(sequence, _SEQUENCES) and isinstance(count, int)
        if repeated and _length(sequence) * count > MAX_LENGTH:
            raise OverflowError("the list or text is too long")
    return a * b


def _remainder(a: Any, b: Any) -> Any:
    if isinstance(a, str):
        raise ValueError("% formats no text here")  # noqa: TRY004 - says more than "cannot be"
    return a % b


def _power(base: Any, exponent: Any) -> Any:
    if not isinstance(base, _NUMBERS) or not isinstance(exponent, _NUMBERS):
        raise ValueError("** takes numbers")  # noqa: TRY004 - likewise
    if abs(exponent) > 128 or (abs(base) > 1 and exponent * math.log10(abs(base)) > 30):
        raise OverflowError("the number is too large")
    if base < 0 and not float(exponent).is_integer():
        raise ValueError("the root of a negative number")
    return base**exponent


BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _remainder,
    ast.Pow: _power,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
