"""The texts of symbolic sizes, such as `2*s77` or `Mul(Integer(2), Symbol('s77'))`.

PyTorch evaluates them; here they are parsed, and worked out where the symbols are known.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 50_000
"""Characters of a text."""
DEEPEST = 150
"""Operations inside one another."""
LARGEST = 2**64
MOST_BITS = 64
"""Of an exponent or a shift."""
SYMBOL = re.compile(r"_{0,2}[a-z]{1,4}\d{1,9}")
"""As PyTorch numbers them: s0, u3, zf1."""

_TOKEN = re.compile(
    r"\s+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.])|[A-Za-z_]\w*(?:\.[a-z_]\w*)?|'[\w.+-]*'"
    r"|//|\*\*|<<|>>|[<>=!]=|[-+*/%<>=(),&|~]"
)
_INPUT = re.compile(
    r"L(?:\['\w{1,200}'\]|\[\d{1,4}\]|\.[A-Za-z]\w{0,200}(?![\w(]))+"
    r"(?:\.(?:size|stride)\(\)\[\d{1,4}\]|\.storage_offset\(\))?"
)
"""What a guard calls the size of an input."""
_KNOWN = {
    "oo": None,
    "int_oo": None,
    "nan": None,
    "pi": None,
    "E": None,
    "true": True,
    "false": False,
}


def _product(*values: Any) -> Any:
    return math.prod(values)


def _total(*values: Any) -> Any:
    return sum(values)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > MOST_BITS:
        raise NotASizeError("a power that is too large")
    return base**exponent if isinstance(exponent, int) and exponent >= 0 else None


def _shifted(value: int, bits: int) -> int:
    if bits > MOST_BITS:
        raise NotASizeError("a shift that is too large")
    return value << bits


_COMPUTED: dict[str, Callable[..., Any]] = {
    "Integer": int,
    "Add": _total,
    "Mul": _product,
    "Pow": _power,
    "PowByNatural": _power,
    **dict.fromkeys(("Max", "max", "torch.sym_max"), max),
    **dict.fromkeys(("Min", "min", "torch.sym_min"), min),
    "FloorDiv": operator.floordiv,
    "CleanDiv": operator.floordiv,
    "CeilDiv": lambda a, b: -(-a // b),
    "Mod": operator.mod,
    "PythonMod": operator.mod,
    "LShift": _shifted,
    "RShift": operator.rshift,
    "Identity": lambda a: a,
    "Abs": abs,
}
"""Functions that sizes are made of."""
_NAMED = re.compile(
    r"Rational|Where|Piecewise|ExprCondPair|Tuple|And|Or|Not|Xor|Eq|Ne|Equality|Unequality"
    r"|Gt|Ge|Lt|Le|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan|ModularIndexing"
    r"|IntTrueDiv|FloatTrueDiv|FloatPow|CeilToInt|FloorToInt|TruncToInt|RoundToInt|TruncToFloat"
    r"|RoundDecimal|ToFloat|ceiling|floor|sqrt|log|exp|IsNonOverlappingAndDenseIndicator"
    r"|OpaqueUnaryFn_(?:sqrt|cosh?|sinh?|tanh?|asinh?|acos|atan|exp|log2?)"
    r"|BitwiseFn_bitwise_(?:and|or|xor)|torch\.(?:sym_(?:ite|not|int|float|sqrt)|_sym_sqrt)"
    r"|math\.(?:ceil|floor|trunc|sqrt|log2?|exp|a?cos|a?sin|a?tan|cosh|sinh|tanh)|abs|round"
)
"""Further functions that PyTorch writes; what they come to is not needed."""
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.LShift: _shifted,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}


class NotASizeError(ValueError):
    """A text that is no symbolic size; says what is wrong with it."""


def value_of(text: str, symbols: Mapping[str, int] | None = None) -> Any:
    """What a symbolic size comes to; None where a symbol or a function has no known value.

    Raises:
        NotASizeError: it is anything but numbers, symbols and functions that PyTorch writes.
    """
    return _Reading(symbols or {}).value(_parsed(text))


def check_guard(text: str) -> None:
    """Raises `NotASizeError` if a text is no condition on the sizes of inputs."""
    value_of(_INPUT.sub(" s0 ", text) if len(text) <= LONGEST else text)


def symbols_of(text: str) -> list[str]:
    """The symbols of a symbolic size."""
    reading = _Reading({})
    reading.value(_parsed(text))
    return [*dict.fromkeys(reading.seen)]


def shown(text: str) -> str:
    """A symbolic size as it is written in mathematics: `2*s77`."""
    return _shown(_parsed(text))


def _shown(node: ast.expr) -> str:
    if not isinstance(node, ast.Call):
        return ast.unparse(node)
    name = _name_of(node.func)
    if name in ("Symbol", "Integer") and node.args and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    parts = [*map(_shown, node.args)]
    signs = {"Mul": "*", "Add": " + "}
    return signs[name].join(parts) if name in signs else f"{name}({', '.join(parts)})"


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise NotASizeError(f"more than {LONGEST:,} characters")
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise NotASizeError(f"{text[at : at + 1]!r} in it")
        at = token.end()
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise NotASizeError("no expression") from None


class _Reading:
    """Walks an expression; whatever is not known by name is refused."""

    def __init__(self, symbols: Mapping[str, int]) -> None:
        self.symbols = symbols
        self.seen: list[str] = []
        self.depth = 0

    def value(self, node: ast.expr) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotASizeError(f"more than {DEEPEST} operations inside one another")
        found = self.read(node)
        self.depth -= 1
        if isinstance(found, int | float) and abs(found) > LARGEST:
            raise NotASizeError("a number that is too large")
        return found

    def read(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return number
            case ast.Name(id=name):
                return self.named(name)
            case ast.UnaryOp(op=sign, operand=inner):
                return _computed(_SIGNS[type(sign)], [self.value(inner)])
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                values = [self.value(left), self.value(right)]
                return _computed(_OPERATORS[type(sign)], values)
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    self.value(part)
                return None
            case ast.IfExp(test=test, body=body, orelse=orelse):
                for part in (test, body, orelse):
                    self.value(part)
                return None
            case ast.Compare(left=left, comparators=others):
                for part in (left, *others):
                    self.value(part)
                return None
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return self.call(_name_of(function), arguments, keywords)
        raise NotASizeError(f"it has a {type(node).__name__}")

    def named(self, name: str) -> Any:
        if name in _KNOWN:
            return _KNOWN[name]
        if not SYMBOL.fullmatch(name):
            raise NotASizeError(f"the name {name[:40]!r}")
        self.seen.append(name)
        return self.symbols.get(name)

    def call(self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Any:
        if name in ("Symbol", "Dummy"):
            return self.symbol(arguments, keywords)
        if name == "Float":
            _check_float(arguments, keywords)
            return None
        if keywords or (name not in _COMPUTED and not _NAMED.fullmatch(name)):
            raise NotASizeError(f"a call of {name[:40]!r}")
        values = [self.value(argument) for argument in arguments]
        return _computed(_COMPUTED[name], values) if name in _COMPUTED else None

    def symbol(self, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Any:
        plain = all(
            isinstance(each.value, ast.Constant) and isinstance(each.value.value, bool)
            for each in keywords
        )
        match arguments:
            case [ast.Constant(value=str() as name)] if plain:
                return self.named(name)
        raise NotASizeError("a symbol without a name")


def _check_float(arguments: list[ast.expr], keywords: list[ast.keyword]) -> None:
    """`Float('1.5', precision=53)`."""
    match arguments, keywords:
        case [ast.Constant(value=str() | int() | float() as number)], (
            [] | [ast.keyword(arg="precision", value=ast.Constant(value=int()))]
        ):
            try:
                float(number)
            except ValueError:
                pass
            else:
                return
    raise NotASizeError("a number that is none")


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return f"{module}.{name}"
    raise NotASizeError("a call of what has no name")


def _computed(function: Callable[..., Any], values: list[Any]) -> Any:
    if not values or any(value is None for value in values):
        return None
    try:
        return function(*values)
    except NotASizeError:
        raise
    except (TypeError, ValueError, ArithmeticError):
        return None  # a division by zero, for example, where the batch is chosen otherwise
