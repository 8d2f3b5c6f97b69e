"""The value of a worked formula, from its notation alone: without `cnncalc.maths.formula`."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_SUPERSCRIPTS = {char: str(digit) for digit, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_TOKEN = re.compile(rf"\s*(\d+|[{''.join(_SUPERSCRIPTS)}]+|[-−+·×/()⌊⌋⌈⌉])")
_SIGNS = {"−": "-", "×": "·"}


def evaluate(formula: str) -> int:
    """The value of a worked formula: `32·(5²·1 + 1)`, `⌊(28 + 2·0 − 5)/1⌋ + 1`.

    Raises:
        ValueError: it does not parse, or its value is not whole.
    """
    tokens = _tokens(formula)
    value = _sum(tokens)
    if tokens:
        raise ValueError(f"{formula!r}: {tokens[-1]!r} is left over")
    if value.denominator != 1:
        raise ValueError(f"{formula!r} is {value}")
    return value.numerator


def factors(formula: str) -> list[str]:
    """The formulas of a shape, split at each ` × ` outside brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(formula):
        depth += (char in "(⌊⌈") - (char in ")⌋⌉")
        if depth == 0 and formula[index : index + 3] == " × ":
            parts.append(formula[start:index])
            start = index + 3
    return [*parts, formula[start:]]


def evaluate_shape(formula: str) -> list[int]:
    """The sizes that the formula of a shape, or of a receptive field, comes to."""
    return [evaluate(part) for part in factors(formula)]


def _tokens(formula: str) -> list[str]:
    """Tokens, the first one last."""
    tokens, position, text = [], 0, formula.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{formula!r}: {text[position]!r} is no part of a formula")
        tokens.append(_SIGNS.get(match[1], match[1]))
        position = match.end()
    return tokens[::-1]


def _sum(tokens: list[str]) -> Fraction:
    value = _product(tokens)
    while tokens and tokens[-1] in "+-":
        sign = 1 if tokens.pop() == "+" else -1
        value += sign * _product(tokens)
    return value


def _product(tokens: list[str]) -> Fraction:
    value = _power(tokens)
    while tokens and tokens[-1] in "·/":
        times = tokens.pop() == "·"
        other = _power(tokens)
        value = value * other if times else value / other
    return value


def _power(tokens: list[str]) -> Fraction:
    if tokens and tokens[-1] == "-":
        tokens.pop()
        return -_power(tokens)
    value = _atom(tokens)
    if tokens and tokens[-1][0] in _SUPERSCRIPTS:
        value **= int("".join(_SUPERSCRIPTS[char] for char in tokens.pop()))
    return value


def _atom(tokens: list[str]) -> Fraction:
    token = tokens.pop() if tokens else "the end"
    if token.isdecimal():
        return Fraction(token)
    if token not in "(⌊⌈":
        raise ValueError(f"{token!r} where a number should stand")
    value = _sum(tokens)
    closing = tokens.pop() if tokens else "the end"
    if token + closing not in ("()", "⌊⌋", "⌈⌉"):
        raise ValueError(f"{token!r} is closed by {closing!r}")
    return {"(": value, "⌊": Fraction(math.floor(value)), "⌈": Fraction(math.ceil(value))}[token]
