"""`Expr`: a whole number that remembers how it was made.

One expression gives the value (`832`), the worked text (`32·(5²·1 + 1)`) and the text in
symbols (`out·(k²·in + 1)`), so the three cannot drift apart. Texts are written on demand.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUM, _PRODUCT, _ATOM = range(3)


class Expr:
    """A whole number and the arithmetic that led to it. Immutable."""

    __slots__ = ("_level", "_parts", "_write", "value")

    def __init__(
        self, value: int, level: int, write: Callable[..., str], parts: tuple[Expr, ...] = ()
    ) -> None:
        self.value = value
        self._level = level
        self._write = write
        self._parts = parts

    @property
    def text(self) -> str:
        """The worked formula, in numbers."""
        return self._render(symbolic=False)

    @property
    def symbols(self) -> str:
        """The same formula in the names that were given to its numbers."""
        return self._render(symbolic=True)

    def _render(self, symbolic: bool) -> str:
        if not self._parts:
            return self._write(symbolic)
        return self._write(*((part._render(symbolic), part._level) for part in self._parts))

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __repr__(self) -> str:
        return f"Expr({self.text} = {self.value})"

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Expr) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __add__(self, other: Expr | int) -> Expr:
        other = expr(other)
        return Expr(self.value + other.value, _SUM, _write_sum, (self, other))

    def __sub__(self, other: Expr | int) -> Expr:
        other = expr(other)
        return Expr(self.value - other.value, _SUM, _write_difference, (self, other))

    def __mul__(self, other: Expr | int) -> Expr:
        other = expr(other)
        if self is ONE:
            return other
        if other is ONE:
            return self
        return Expr(self.value * other.value, _PRODUCT, _write_product, (self, other))

    def __radd__(self, other: int) -> Expr:
        return expr(other) + self

    def __rmul__(self, other: int) -> Expr:
        return expr(other) * self

    def __truediv__(self, other: Expr | int) -> Expr:
        """Exact division: a remainder is a mistake of the caller's."""
        other = expr(other)
        value, remainder = divmod(self.value, other.value)
        if remainder:
            raise ArithmeticError(f"{self.value} is not a multiple of {other.value}")
        return Expr(value, _PRODUCT, _write_quotient, (self, other))

    def __pow__(self, power: int) -> Expr:
        exponent = str(power).translate(_SUPERSCRIPTS)
        return Expr(
            self.value**power, _ATOM, lambda base: f"{_enclose(base, _ATOM)}{exponent}", (self,)
        )


def expr(value: Expr | int) -> Expr:
    """`value` as an expression; a plain number is its own formula."""
    return value if isinstance(value, Expr) else sym("", value)


def sym(name: str, value: Expr | int) -> Expr:
    """A number with a name: prints as its value, or as `name` in `symbols`."""
    if isinstance(value, Expr):
        return value
    return Expr(
        int(value), _ATOM if value >= 0 else _SUM, lambda symbolic: _leaf(name, value, symbolic)
    )


def product(values: Iterable[Expr | int], name: str = "") -> Expr:
    """The product of `values`; runs of equal ones become powers. Empty: `ONE`."""
    total = ONE
    for _, run in groupby((sym(name, value) for value in values), key=lambda e: (e.value, e.text)):
        factors = list(run)
        total = total * (factors[0] ** len(factors) if len(factors) > 1 else factors[0])
    return total


def total(values: Iterable[Expr | int]) -> Expr:
    """The sum of the values that are not zero, written out."""
    result: Expr | None = None
    for value in values:
        if int(value):
            result = expr(value) if result is None else result + value
    return ZERO if result is None else result


def floor_divide(dividend: Expr, divisor: Expr | int) -> Expr:
    """`⌊dividend/divisor⌋`."""
    divisor = expr(divisor)
    return Expr(dividend.value // divisor.value, _ATOM, _write_floor, (dividend, divisor))


def ceil_divide(dividend: Expr, divisor: Expr | int) -> Expr:
    """`⌈dividend/divisor⌉`."""
    divisor = expr(divisor)
    return Expr(-(-dividend.value // divisor.value), _ATOM, _write_ceil, (dividend, divisor))


def _leaf(name: str, value: int, symbolic: bool) -> str:
    return name if symbolic and name else str(value).replace("-", "−")


def _enclose(part: tuple[str, int], level: int) -> str:
    text, own = part
    return text if own >= level else f"({text})"


def _write_sum(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"{left[0]} + {right[0]}"


def _write_difference(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"{left[0]} − {_enclose(right, _PRODUCT)}"


def _write_product(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"{_enclose(left, _PRODUCT)}·{_enclose(right, _PRODUCT)}"


def _write_quotient(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"{_enclose(left, _PRODUCT)}/{_enclose(right, _ATOM)}"


def _write_floor(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"⌊{_write_quotient(left, right)}⌋"


def _write_ceil(left: tuple[str, int], right: tuple[str, int]) -> str:
    return f"⌈{_write_quotient(left, right)}⌉"


ZERO = sym("", 0)
ONE = sym("", 1)
"""The empty product: it vanishes when it is multiplied."""
