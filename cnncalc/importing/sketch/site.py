"""One operation of a program that is read, and how a layer of ours is tried for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cnncalc.importing.sketch import patterns
from cnncalc.importing.sketch.operations import Call, Operation, Sketch, Unfit, Weight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnncalc.layers.base import Shape


@dataclass(frozen=True, slots=True)
class Site:
    """One operation of the program and what flows into it."""

    sketch: Sketch
    origin: str
    arguments: dict[str, Any]
    shape: Shape
    """Of its output, or the first of them."""
    calls: tuple[Call, ...]
    keeps_batch: bool
    users: tuple[str, ...] = ()
    """What PyTorch's program calls those that take its output."""

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def x(self) -> Operation:
        """What flows in first. Raises `Unfit` if its first argument is no operation."""
        first = self.arguments[next(iter(self.arguments))]
        if not isinstance(first, Operation):
            raise Unfit("its first argument is no operation")
        return first

    def layer(
        self,
        kind: str,
        *inputs: Operation,
        weights: dict[str, Any] | None = None,
        output: Shape | None = None,
        **fields: Any,
    ) -> Operation:
        """A layer of ours here, on `x` unless inputs are given; `output` is its shape."""
        given = {name: weight for name, weight in (weights or {}).items() if weight is not None}
        if not all(isinstance(weight, Weight) for weight in given.values()):
            raise Unfit("a weight is computed from the input")
        made = self.sketch.add(
            kind,
            fields,
            inputs or (self.x,),
            self.shape if output is None else output,
            weights=given,
            origin=self.origin,
            calls=self.calls,
        )
        return patterns.simplified(made, self.sketch)

    def channels(self, start: int, stop: int) -> Operation:
        """A slice of the channels of `x`."""
        end = None if stop >= self.x.shape[0] else stop
        shape = (stop - start, *self.x.shape[1:])
        return self.layer("slice", start=start, stop=end, output=shape)

    def unknown(self) -> Operation:
        """The operation, as one that has no layer."""
        flowing = [*_operations([*self.arguments.values()])]
        made = self.sketch.unknown(
            self.origin,
            flowing,
            self.shape,
            calls=self.calls,
            arguments=tuple(self.arguments.values()),
        )
        return patterns.recognised(made, self.sketch)


def _operations(values: Sequence[Any]) -> list[Operation]:
    found = []
    for value in values:
        if isinstance(value, Operation):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _operations(value)
    return found


class Arguments(dict[str, Any]):
    """Arguments that remember which of them were looked at."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)

    def values(self) -> Any:
        self.seen.update(self)
        return super().values()

    def items(self) -> Any:
        self.seen.update(self)
        return super().items()


Function = TypeVar("Function", bound=Callable[..., Any])
Translator = Callable[[Site], Any]
"""What makes a layer, or a list of several outputs, of a site; None where there is none."""


class Translators(dict[str, Translator]):
    """Translators by the names of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.ignored: dict[str, frozenset[str]] = {}
        """Arguments of each that change nothing in evaluation."""

    def of(
        self, *names: str, ignoring: tuple[str, ...] = (), **given: Any
    ) -> Callable[[Function], Function]:
        """Registers a function for some names; it is called with what is given beside the site.

        `ignoring` names arguments that it need not look at.
        """

        def register(function: Function) -> Function:
            self.ignored.update(dict.fromkeys(names, frozenset(ignoring)))
            self.update(dict.fromkeys(names, partial(function, **given) if given else function))
            return function

        return register


def axis_of(dim: int, x: Operation) -> int:
    """An axis counted from the batch, which is 0."""
    return dim % (len(x.shape) + 1)
