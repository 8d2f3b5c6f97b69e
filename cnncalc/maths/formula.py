"""`Expr`: a whole number that remembers how it was made.

One expression gives the value (`832`), the worked text (`32·(5²·1 + 1)`) and the text in
symbols (`out·(k²·in + 1)`), so the three cannot drift apart. Texts are written on demand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUM, _PRODUCT, _POWER, _ATOM = range(4)


class Expr:
    """A whole number and the arithmetic that led to it. Immutable.

    `_parts` holds the operands of `_operation`, or the name of a plain number.
    """

    __slots__ = ("_operation", "_parts", "value")

    def __init__(self, value: int, operation: str, *parts: Any) -> None:
        self.value = value
        self._operation = operation
        self._parts = parts

    @property
    def text(self) -> str:
        """The worked formula, in numbers."""
        return _write(self, symbolic=False)[0]

    @property
    def symbols(self) -> str:
        """The same formula in the names that were given to its numbers."""
        return _write(self, symbolic=True)[0]

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
        return Expr(self.value + other.value, "+", self, other)

    def __sub__(self, other: Expr | int) -> Expr:
        other = expr(other)
        return Expr(self.value - other.value, "−", self, other)

    def __mul__(self, other: Expr | int) -> Expr:
        other = expr(other)
        if self is ONE:
            return other
        if other is ONE:
            return self
        return Expr(self.value * other.value, "·", self, other)

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
        return Expr(value, "/", self, other)

    def __pow__(self, power: int) -> Expr:
        return Expr(self.value**power, "^", self, power)


def expr(value: Expr | int) -> Expr:
    """`value` as an expression; a plain number is its own formula."""
    return value if isinstance(value, Expr) else Expr(value, "", "")


def sym(name: str, value: Expr | int) -> Expr:
    """A number with a name: prints as its value, or as `name` in `symbols`."""
    return value if isinstance(value, Expr) else Expr(value, "", name)


def product(values: Iterable[Expr | int], name: str = "") -> Expr:
    """The product of `values`; runs of equal ones become powers. Empty: `ONE`."""
    runs: list[tuple[Expr, int]] = []
    for value in values:
        factor = sym(name, value)
        if runs and _alike(runs[-1][0], factor):
            runs[-1] = (factor, runs[-1][1] + 1)
        else:
            runs.append((factor, 1))
    result = ONE
    for factor, power in runs:
        result = result * (factor**power if power > 1 else factor)
    return result


def total(values: Iterable[Expr | int]) -> Expr:
    """The sum of the values that are not zero, written out."""
    terms = [expr(value) for value in values if int(value)]
    if len(terms) < 2:
        return terms[0] if terms else ZERO
    return Expr(sum(term.value for term in terms), "+", *terms)


def floor_divide(dividend: Expr, divisor: Expr | int) -> Expr:
    """`⌊dividend/divisor⌋`."""
    divisor = expr(divisor)
    return Expr(dividend.value // divisor.value, "⌊⌋", dividend, divisor)


def ceil_divide(dividend: Expr, divisor: Expr | int) -> Expr:
    """`⌈dividend/divisor⌉`."""
    divisor = expr(divisor)
    return Expr(-(-dividend.value // divisor.value), "⌈⌉", dividend, divisor)


def _alike(a: Expr, b: Expr) -> bool:
    """Whether two factors of equal value are written alike too."""
    if a.value != b.value:
        return False
    plain = not a._operation and not b._operation
    return (a._parts == b._parts) if plain else a.text == b.text


def _write(formula: Expr, *, symbolic: bool) -> tuple[str, int]:
    """The text of a formula and how tightly it binds."""
    operation, parts = formula._operation, formula._parts
    if not operation:
        text = parts[0] if symbolic and parts[0] else str(formula.value).replace("-", "−")
        return text, _ATOM if formula.value >= 0 else _SUM
    if operation == "+":
        return " + ".join(_write(part, symbolic=symbolic)[0] for part in parts), _SUM
    left = _write(parts[0], symbolic=symbolic)
    if operation == "^":
        return f"{_enclose(left, _ATOM)}{str(parts[1]).translate(_SUPERSCRIPTS)}", _POWER
    right = _write(parts[1], symbolic=symbolic)
    if operation == "−":
        return f"{left[0]} − {_enclose(right, _PRODUCT)}", _SUM
    if operation == "·":
        return f"{_enclose(left, _PRODUCT)}·{_enclose(right, _PRODUCT)}", _PRODUCT
    quotient = f"{_enclose(left, _PRODUCT)}/{_enclose(right, _POWER)}"
    if operation == "/":
        return quotient, _PRODUCT
    return f"{operation[0]}{quotient}{operation[1]}", _ATOM


def _enclose(part: tuple[str, int], level: int) -> str:
    text, own = part
    return text if own >= level else f"({text})"


ZERO = expr(0)
ONE = expr(1)
"""The empty product: it vanishes when it is multiplied."""
