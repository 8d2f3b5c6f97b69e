"""The safe arithmetic behind `=4*width`: a small language that can neither run nor exhaust.

Numbers, strings, lists, names, arithmetic, comparisons, `and or not`, `a if c else b`, indexing
and the functions of `FUNCTIONS`. Nothing else parses: no attribute, no other call.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

from cnncalc.errors import ExpressionError, did_you_mean, shorten
from cnncalc.spec.arithmetic import BINARY, COMPARE, FUNCTIONS, UNARY, bounded, item_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Evaluator = Callable[[Mapping[str, Any]], Any]

MAX_TEXT = 1000
MAX_DEPTH = 50

QUOTE_HINT = 'inside {…} or […] quote an expression that holds , [ ] { }: "=depths[0]"'
CONSTANTS = {"true": True, "false": False, "null": None}


def is_expression(value: object) -> TypeGuard[str]:
    """Whether a value of a spec is an expression: a string that begins with `=`."""
    return isinstance(value, str) and value.startswith("=")


def has_expression(value: object) -> bool:
    """Whether a value is an expression, or a list or mapping with one somewhere within."""
    if isinstance(value, dict):
        return any(map(has_expression, value.values()))
    if isinstance(value, list):
        return any(map(has_expression, value))
    return is_expression(value)


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression such as `=4*width`; a whole result is an `int`.

    Raises:
        ExpressionError: it does not parse, is not allowed, or fails on these names.
    """
    try:
        value = bounded(_compiled(text)(names))
        return value if type(value) is int else whole(value)
    except (ArithmeticError, TypeError, ValueError, IndexError) as error:
        raise ExpressionError(f"{shorten(text)} cannot be worked out: {error}") from None


def worked_out(value: Any, names: Mapping[str, Any]) -> Any:
    """A parameter's value, with every expression in it evaluated, also those in lists.

    Raises:
        ExpressionError: an expression fails, or the value is none that expressions work with.
    """
    if is_expression(value):
        return evaluate(value, names)
    try:
        bounded(value)
    except OverflowError as error:
        raise ExpressionError(f"{shorten(value)}: {error}") from None
    if isinstance(value, list):
        return [worked_out(item, names) for item in value]
    if isinstance(value, dict):
        raise ExpressionError(
            f"must be a number, text, true, false or a list; received {shorten(value)}"
        )
    return value


def names_in(text: str) -> frozenset[str]:
    """The names that an expression uses. Raises `ExpressionError` if it does not parse."""
    return frozenset(n.id for n in ast.walk(_parsed(text)) if isinstance(n, ast.Name))


def names_within(value: object) -> frozenset[str]:
    """The names that the expressions of a value use, also those in lists and mappings.

    One that does not parse uses none: it fails where it is worked out.
    """
    if isinstance(value, dict):
        return frozenset().union(*map(names_within, value.values()))
    if isinstance(value, list):
        return frozenset().union(*map(names_within, value))
    try:
        return names_in(value) if is_expression(value) else frozenset()
    except ExpressionError:
        return frozenset()


def has_unbalanced_brackets(text: str) -> bool:
    """Whether brackets outside quotes do not match: YAML has cut the expression."""
    pairs = {")": "(", "]": "[", "}": "{"}
    stack: list[str] = []
    quote = ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            stack.append(char)
        elif char in pairs and (not stack or stack.pop() != pairs[char]):
            return True
    return bool(stack)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> ast.Expression:
    source = text[1:].strip()
    if not source:
        raise ExpressionError("an expression is missing after =")
    if len(source) > MAX_TEXT:
        raise ExpressionError(f"an expression of over {MAX_TEXT} characters")
    if has_unbalanced_brackets(source):
        raise ExpressionError(
            f"{shorten(text)} has unbalanced brackets",
            hint=QUOTE_HINT,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of \d in a text, or of `1 is 1`
            return ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        hint = "one = is enough; == compares" if source.startswith("=") else ""
        raise ExpressionError(f"{shorten(text)} is not an expression", hint=hint) from None


@lru_cache(maxsize=2048)
def _compiled(text: str) -> Evaluator:
    return _compile(_parsed(text).body, text, 0)


def _compile(node: ast.expr, text: str, depth: int) -> Evaluator:
    if depth > MAX_DEPTH:
        raise ExpressionError(f"{shorten(text)} is nested over {MAX_DEPTH} deep")

    def part(child: ast.expr) -> Evaluator:
        return _compile(child, text, depth + 1)

    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            bounded(value)
            return lambda names: value
        case ast.Name(id=name):
            return lambda names: _look_up(name, names, text)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            parts = [part(item) for item in items]
            return lambda names: bounded([item(names) for item in parts])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return _compile_binary(BINARY[type(op)], part(left), part(right))
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in UNARY:
            function, inner = UNARY[type(unary)], part(operand)
            return lambda names: function(inner(names))
        case ast.BoolOp(op=op, values=values):
            return _compile_bool(isinstance(op, ast.And), [part(value) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=rest) if {*map(type, ops)} <= {*COMPARE}:
            return _compile_compare([COMPARE[type(o)] for o in ops], [part(left), *map(part, rest)])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = part(test), part(body), part(orelse)
            return lambda names: (yes if condition(names) else no)(names)
        case ast.Subscript(value=container, slice=index) if not isinstance(index, ast.Slice):
            holder, key = part(container), part(index)
            return lambda names: item_of(holder(names), key(names))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _compile_call(name, [part(arg) for arg in args], text)
    allowed = "arithmetic, comparisons, and or not, if else, [ ], " + " ".join(FUNCTIONS)
    raise ExpressionError(
        f"{shorten(text)} uses {_describe(node)}, which an expression may not",
        hint="a power is written **" if _is_caret(node) else f"allowed: {allowed}",
    )


def _compile_binary(
    function: Callable[[Any, Any], Any], left: Evaluator, right: Evaluator
) -> Evaluator:
    def run(names: Mapping[str, Any]) -> Any:
        a, b = left(names), right(names)
        try:
            return bounded(function(a, b))
        except TypeError:
            raise TypeError(f"{shorten(a)} and {shorten(b)} cannot be combined so") from None

    return run


def _compile_bool(is_and: bool, parts: list[Evaluator]) -> Evaluator:
    def run(names: Mapping[str, Any]) -> Any:
        value: Any = is_and
        for item in parts:
            value = item(names)
            if bool(value) != is_and:
                break
        return value

    return run


def _compile_compare(ops: list[Callable[[Any, Any], Any]], parts: list[Evaluator]) -> Evaluator:
    first, *rest = parts

    def run(names: Mapping[str, Any]) -> bool:
        left = first(names)
        for op, part in zip(ops, rest, strict=True):
            right = part(names)
            try:
                holds = op(left, right)
            except TypeError:
                raise TypeError(f"{shorten(left)} and {shorten(right)} do not compare") from None
            if not holds:
                return False
            left = right
        return True

    return run


def _compile_call(name: str, args: list[Evaluator], text: str) -> Evaluator:
    function = FUNCTIONS.get(name)
    if function is None:
        raise ExpressionError(
            f"{shorten(text)} calls {name!r}, which is not a function",
            hint=did_you_mean(name, FUNCTIONS),
        )
    return lambda names: bounded(function(*(arg(names) for arg in args)))


def _look_up(name: str, names: Mapping[str, Any], text: str) -> Any:
    try:
        return names[name]
    except KeyError:
        pass
    if name in CONSTANTS:
        return CONSTANTS[name]
    error = ExpressionError(
        f"{name!r} in {shorten(text)} is not defined", hint=did_you_mean(name, names)
    )
    error.undefined = name
    raise error


_DESCRIPTIONS: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.Call: "a call",
    ast.Lambda: "a lambda",
    ast.Subscript: "a slice",
    ast.Dict: "a dictionary",
    ast.Set: "a set",
    ast.JoinedStr: "a formatted text",
    ast.NamedExpr: "an assignment",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Starred: "a star",
    ast.Constant: "a constant of another type",
    ast.BitOr: "the operator |",
    ast.BitAnd: "the operator &",
    ast.BitXor: "the operator ^",
    ast.LShift: "the operator <<",
    ast.RShift: "the operator >>",
    ast.MatMult: "the operator @",
    ast.Invert: "the operator ~",
    ast.Compare: "the operator is",
}


def _describe(node: ast.expr) -> str:
    part = node.op if isinstance(node, ast.BinOp | ast.UnaryOp) else node
    return _DESCRIPTIONS.get(type(part), "a part")


def _is_caret(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)
