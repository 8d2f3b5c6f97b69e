"""Python expressions of the written source: what stands behind `self.conv1 =`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, eq=False)
class Literal:
    """A number, string, bool, None or tuple. `True` is not 1."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class Parameter:
    """A term of the parameters of a class, such as `4 * width`."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Growing:
    """`first` in the loop's turn `start`, and `step` more in each turn after it."""

    first: Expression
    step: Expression
    start: Expression

    def __str__(self) -> str:
        turn = "i" if self.start == Literal(0) else f"(i - {self.start})"
        step = f"({self.step})" if " " in str(self.step) else str(self.step)
        grown = turn if self.step == Literal(1) else f"{step} * {turn}"
        return f"{self.first} + {grown}"


@dataclass(frozen=True)
class Choice:
    """`yes if condition else no`."""

    condition: str
    yes: Expression
    no: Expression

    def __str__(self) -> str:
        yes = f"({self.yes})" if isinstance(self.yes, Choice) else self.yes
        return f"{yes} if {self.condition} else {self.no}"


@dataclass(frozen=True)
class Call:
    """A module made: `nn.Conv2d(1, 32, kernel_size=5)`. An argument without a name is positional.

    `defaults` are those of arguments that need not be given.
    """

    function: str
    arguments: tuple[tuple[str | None, Expression], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        written = [
            f"**{value.modules}"
            if isinstance(value, Loop)
            else f"{value}"
            if name is None
            else f"{name}={value}"
            for name, value in self.arguments
        ]
        return f"{self.function}({', '.join(written)})"


@dataclass(frozen=True)
class Loop:
    """Modules `prefix{start}` to `prefix{stop - 1}`, in order; no body if there are none."""

    prefix: str
    start: Expression
    stop: Expression
    body: Expression | None

    @property
    def name(self) -> str:
        """Python that names the module of turn `i`."""
        return f'f"{self.prefix}{{i}}"'

    @property
    def turns(self) -> str:
        return f"range({self.start}, {self.stop})"

    @property
    def count(self) -> int | None:
        """Number of turns, if it is fixed."""
        if isinstance(self.start, Literal) and isinstance(self.stop, Literal):
            return int(self.stop.value - self.start.value)
        return None

    @property
    def modules(self) -> str:
        """Python for the modules by name."""
        if self.count == 1:
            return f'{{"{self.prefix}{self.start}": {self.body}}}'
        return f"{{{self.name}: {self.body} for i in {self.turns}}}"


Expression = Literal | Parameter | Growing | Choice | Call | Loop
