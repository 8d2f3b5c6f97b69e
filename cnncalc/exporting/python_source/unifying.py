"""One expression for several: what differs becomes a term of the class's parameters.

The instances of a block differ in numbers. Each column of numbers is looked for among the
parameters with which the file calls the block (`width`, `4 * width`, `widths[0]`); one that is
not found becomes a parameter of its own. So the class is right for all its instances, whatever
the file's own expressions are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncalc.exporting.python_source.terms import (
    Call,
    Choice,
    Expression,
    Growing,
    Literal,
    Loop,
    Parameter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ENOUGH = 3
"""Instances that a sum or difference must explain: two numbers always lie on a line."""
_PLACES = {0: "in", 1: "out"}
"""What PyTorch's first positional arguments are, for the names of new parameters."""


class CannotUnifyError(Exception):
    """The instances differ in more than numbers."""


class Unifier:
    """Unifies the expressions of the instances of one class."""

    def __init__(self, environments: Sequence[Mapping[str, Any]]) -> None:
        self.environments = environments
        self.own: dict[str, list[Any]] = {}
        """Parameters that were made here: their values, by instance."""

    def unify(
        self, column: Sequence[Expression], name: str, rows: Sequence[int] | None = None
    ) -> Expression:
        """The expression that comes to `column[k]` in instance `rows[k]`.

        `name` is that of a new parameter, if one is needed. Raises `CannotUnifyError`.
        """
        rows = range(len(self.environments)) if rows is None else rows
        first = column[0]
        if all(other == first for other in column):
            return first
        if any(isinstance(e, Growing) for e in column):
            return self._growing(column, name, rows)
        if all(isinstance(e, Literal) for e in column):
            return self._term([e.value for e in column if isinstance(e, Literal)], name, rows)
        if all(isinstance(e, Loop) for e in column):
            return self._loop([e for e in column if isinstance(e, Loop)], name, rows)
        calls = [e for e in column if isinstance(e, Call)]
        if len(calls) == len(column) and len({call.function for call in calls}) == 1:
            try:
                return self._call(calls, name, rows)
            except CannotUnifyError:
                pass
        return self._choice(column, name, rows)

    def _call(self, calls: Sequence[Call], name: str, rows: Sequence[int]) -> Call:
        defaults = _defaults(calls)
        arguments = []
        for key, place in _keys(calls):
            values = [_argument(call, key, place, defaults) for call in calls]
            arguments.append(
                (key, self.unify(values, f"{name}_{key or _PLACES.get(place, place)}", rows))
            )
        return Call(calls[0].function, tuple(arguments), defaults)

    def _loop(self, loops: Sequence[Loop], name: str, rows: Sequence[int]) -> Loop:
        if len({loop.prefix for loop in loops}) > 1:
            raise CannotUnifyError
        turning = [(loop.body, row) for loop, row in zip(loops, rows, strict=True) if loop.body]
        bodies = [body for body, _ in turning]
        return Loop(
            loops[0].prefix,
            self.unify([loop.start for loop in loops], f"{name}_start", rows),
            self.unify([loop.stop for loop in loops], f"{name}_stop", rows),
            self.unify(bodies, name, [row for _, row in turning]) if bodies else None,
        )

    def _growing(self, column: Sequence[Expression], name: str, rows: Sequence[int]) -> Growing:
        start = next(e.start for e in column if isinstance(e, Growing))
        grown = []
        for e in column:
            if isinstance(e, Growing):
                grown.append(e)
            elif isinstance(e, Literal) and type(e.value) is int:
                grown.append(Growing(e, Literal(0), start))
            else:
                raise CannotUnifyError
        return Growing(
            self.unify([e.first for e in grown], name, rows),
            self.unify([e.step for e in grown], f"{name}_step", rows),
            self.unify([e.start for e in grown], f"{name}_start", rows),
        )

    def _choice(self, column: Sequence[Expression], name: str, rows: Sequence[int]) -> Choice:
        """`yes if condition else no`, where a parameter tells two kinds of module apart."""
        for condition, truth in self._conditions(rows):
            sides = [
                [k for k, value in enumerate(truth) if value is side] for side in (True, False)
            ]
            if not all(len({_kind(column[k]) for k in side}) == 1 for side in sides):
                continue
            try:
                yes, no = (
                    self.unify([column[k] for k in side], name, [rows[k] for k in side])
                    for side in sides
                )
            except CannotUnifyError:
                continue
            return Choice(condition, yes, no)
        raise CannotUnifyError

    def _conditions(self, rows: Sequence[int]) -> Iterator[tuple[str, list[bool]]]:
        """Text and truth in each instance of every condition that parts them in two."""
        known = self._known(rows).items()
        for parameter, values in known:
            if all(isinstance(value, bool) for value in values):
                yield parameter, values
        for parameter, values in known:
            for value in dict.fromkeys(v for v in values if type(v) in (int, str)):
                yield f"{parameter} == {value!r}", [other == value for other in values]

    def _known(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        """The parameters that all these instances have, and their values."""
        return {
            name: [self.environments[row][name] for row in rows]
            for name in self.environments[rows[0]]
            if all(name in self.environments[row] for row in rows)
        }

    def _term(self, values: list[Any], name: str, rows: Sequence[int]) -> Parameter:
        """The term of the parameters that comes to `values` in the instances `rows`."""
        for text, terms in self._terms(values, rows):
            if repr(terms) == repr(values):
                return Parameter(text)
        return Parameter(self._new(values, name, rows))

    def _terms(self, values: list[Any], rows: Sequence[int]) -> Iterator[tuple[str, list[Any]]]:
        """Text and values of every term to be tried, the simplest first."""
        known = self._known(rows)
        yield from known.items()
        for name, terms in known.items():
            if all(isinstance(term, tuple) for term in terms):
                for place in range(min(map(len, terms))):
                    yield f"{name}[{place}]", [term[place] for term in terms]
        if not all(type(value) is int for value in values):
            return
        for name, terms in known.items():
            if all(type(term) is int and term > 0 for term in terms):
                yield from _multiples(name, terms, values)
        for name, terms in known.items():
            if all(type(term) is int for term in terms):
                yield from _sums(name, terms, values)

    def _new(self, values: list[Any], name: str, rows: Sequence[int]) -> str:
        """A parameter of the class's own with these values."""
        for known, column in self.own.items():
            theirs = [column[row] for row in rows]
            if None not in theirs and repr(theirs) == repr(values):
                return known
        taken = {*self.own, *(key for row in self.environments for key in row)}
        free = name
        number = 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        column = [None] * len(self.environments)
        for row, value in zip(rows, values, strict=True):
            column[row] = value
        self.own[free] = column
        return free


def _kind(expression: Expression) -> tuple[type, str]:
    function = expression.function if isinstance(expression, Call) else ""
    return type(expression), function


def _multiples(name: str, terms: list[int], values: list[int]) -> Iterator[tuple[str, list[int]]]:
    factor = values[0] // terms[0]
    if factor > 1:
        yield f"{factor} * {name}", [factor * term for term in terms]
    divisor = terms[0] // values[0] if values[0] > 0 else 0
    if divisor > 1:
        yield f"{name} // {divisor}", [term // divisor for term in terms]


def _sums(name: str, terms: list[int], values: list[int]) -> Iterator[tuple[str, list[int]]]:
    more = values[0] - terms[0]
    if abs(more) == 1 or len({*terms}) >= ENOUGH:
        sign = "+" if more > 0 else "-"
        yield f"{name} {sign} {abs(more)}", [term + more for term in terms]


def _keys(calls: Sequence[Call]) -> list[tuple[str | None, int]]:
    """Name and place of each argument that any of the calls gives.

    Raises:
        CannotUnifyError: one gives what another neither gives nor has a default for.
    """
    fullest = max(calls, key=lambda call: len(call.arguments))
    keys = [(name, place) for place, (name, _) in enumerate(fullest.arguments)]
    defaults = {name for call in calls for name in call.defaults}
    required = [[name for name, _ in call.arguments if name not in defaults] for call in calls]
    if any(names != required[0] for names in required):
        raise CannotUnifyError
    known = {name for name, _ in keys}
    others = (name for call in calls for name, _ in call.arguments if name not in known)
    return keys + [(name, -1) for name in dict.fromkeys(others)]


def _argument(call: Call, key: str | None, place: int, defaults: Mapping[str, Any]) -> Expression:
    if key is None:
        return call.arguments[place][1]
    return dict(call.arguments).get(key) or Literal(defaults[key])


def _defaults(calls: Sequence[Call]) -> dict[str, Any]:
    return {name: value for call in calls for name, value in call.defaults.items()}


def unify_turns(column: Sequence[Expression], start: Literal) -> Expression:
    """The expression that comes to `column[k]` in the k-th turn of a loop that begins at `start`.

    Raises:
        CannotUnifyError: the turns differ in more than numbers that grow evenly.
    """
    first = column[0]
    if all(other == first for other in column):
        return first
    if all(isinstance(e, Literal) and type(e.value) is int for e in column):
        numbers = [e.value for e in column if isinstance(e, Literal)]
        step = numbers[1] - numbers[0]
        if numbers == [numbers[0] + step * turn for turn in range(len(numbers))]:
            return Growing(Literal(numbers[0]), Literal(step), start)
    calls = [e for e in column if isinstance(e, Call)]
    if len(calls) == len(column) and len({call.function for call in calls}) == 1:
        defaults = _defaults(calls)
        arguments = []
        for key, place in _keys(calls):
            values = [_argument(call, key, place, defaults) for call in calls]
            arguments.append((key, unify_turns(values, start)))
        return Call(calls[0].function, tuple(arguments), defaults)
    raise CannotUnifyError
