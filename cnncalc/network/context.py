"""What an item sees where it stands: the parameters, what flows in, and the turn of a repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import ExpressionError, FieldError, LimitError, SpecError, shorten
from cnncalc.spec.architecture import FLOW_NAMES
from cnncalc.spec.complaints import advice
from cnncalc.spec.expressions import evaluate, is_expression, worked_out
from cnncalc.spec.limits import MAX_NODES
from cnncalc.spec.text import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnncalc.layers.base import Shape
    from cnncalc.network.names import Scope
    from cnncalc.spec.items import Item

MAX_WORK = 40 * MAX_NODES
"""Values in lists, and quarters of the letters of expressions, that one expansion works out."""
WORK_OF_A_NAME = 8
MAX_LIST = 10_000
"""Most values of one list in a field."""


class Parameters(dict[str, Any]):
    """What items see beside the flow: the network's parameters and, in a block, its own."""

    key = ""
    """The block's own and their values, as text: within one network, the others are the same."""


class Names(Mapping[str, Any]):
    """The names of an expression: parameters, `in_channels`, `in_size` and `index`."""

    __slots__ = ("parameters", "shape", "turn")

    def __init__(self, parameters: Mapping[str, Any], shape: Shape, turn: int) -> None:
        self.parameters = parameters
        self.shape = shape
        self.turn = turn

    def __getitem__(self, name: str) -> Any:
        if name in self.parameters:
            return self.parameters[name]
        if name == "in_channels":
            return self.shape[0]
        if name == "in_size":
            return list(self.shape[1:])
        if name == "index":
            return self.turn
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.parameters, *FLOW_NAMES))

    def __len__(self) -> int:
        return len(self.parameters) + len(FLOW_NAMES)


class Budget:
    """What one expansion may work out: bounds expressions and lists in repeated items."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_WORK

    def spend(self, work: int) -> None:
        """Raises `LimitError` if too much has been worked out by now."""
        self.left -= work
        if self.left < 0:
            raise LimitError(
                "the network's repeats work out too many expressions, lists and names",
                hint="write shorter ones, or repeat less",
            )


class Context(NamedTuple):
    """Where items are expanded. `blocks` are the calls that led here, `turn` the repeat's."""

    scope: Scope
    parameters: Parameters
    budget: Budget
    blocks: tuple[str, ...] = ()
    turn: int = 0
    frozen: bool = False

    def value(self, text: str, shape: Shape) -> Any:
        """An expression's value where a tensor of `shape` flows in."""
        self.budget.spend(1 + len(text) // 4)
        try:
            return evaluate(text, Names(self.parameters, shape, self.turn))
        except ExpressionError as error:
            raise self._explained(error) from None

    def _explained(self, error: ExpressionError) -> ExpressionError:
        """The same error; of a name that the block does not see, with advice."""
        if error.undefined and self.blocks and not error.hint.startswith("did"):
            error.hint = (
                "a block sees its own parameters and the network's:"
                f" give {self.blocks[-1]} a parameter {shorten(error.undefined)}"
            )
        return error

    def field(self, fields: Mapping[str, Any], key: str, shape: Shape, path: str) -> Any:
        """A field with its expressions worked out; lists become tuples."""
        value = fields[key]
        if not isinstance(value, str | list):
            return value
        try:
            return self._plain(value, shape)
        except SpecError as error:
            raise error.at(place_of(fields, key), f"{path}.{key}") from None

    def _plain(self, value: Any, shape: Shape) -> Any:
        if is_expression(value):
            value = self.value(value, shape)
        if isinstance(value, list):
            self.budget.spend(len(value))
            if len(value) > MAX_LIST:
                raise LimitError(f"a list of over {MAX_LIST:,} values")
            return tuple(self._plain(item, shape) for item in value)
        return value

    def argument(self, given: Mapping[str, Any], key: str, shape: Shape, path: str) -> Any:
        """A parameter's value, given where a block is called or as its default."""
        value = given[key]
        if type(value) is int:
            return value
        self.budget.spend(len(value) if isinstance(value, list) else 1 + len(str(value)) // 4)
        try:
            return worked_out(value, Names(self.parameters, shape, self.turn))
        except ExpressionError as error:
            raise self._explained(error).at(place_of(given, key), f"{path}.{key}") from None

    def option(self, item: Item, name: str, shape: Shape) -> Any:
        """The value of a key beside the kind, such as `repeat`."""
        value = item.options[name]
        if not is_expression(value):
            return value
        try:
            return self.value(value, shape)
        except ExpressionError as error:
            raise error.at(item.option_place(name), name) from None

    def truth(self, item: Item, name: str, shape: Shape, *, default: bool) -> bool:
        """`if` or `frozen`."""
        if name not in item.options:
            return default
        value = self.option(item, name, shape)
        if not isinstance(value, bool):
            raise _wrong(item, name, "true or false", value)
        return value

    def repeats(self, item: Item, shape: Shape) -> int:
        """Number of turns that `repeat` asks for."""
        value = self.option(item, "repeat", shape)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _wrong(item, "repeat", "an integer of at least 0", value)
        if value > MAX_NODES:
            raise LimitError(
                f"{shorten(value)} turns are too many",
                place=item.option_place("repeat"),
                path="repeat",
                hint=f"a network has at most {MAX_NODES:,} layers",
            )
        return value

    def input_names(self, item: Item) -> list[str]:
        """The names in `inputs`."""
        inputs = item.options["inputs"]
        names = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise _wrong(item, "inputs", "a list of names", inputs)
        self.budget.spend(WORK_OF_A_NAME * len(names))
        return names


def _wrong(item: Item, name: str, expected: str, value: object) -> FieldError:
    return FieldError(
        f"must be {expected}; received {shorten(value)}",
        place=item.option_place(name),
        path=name,
        hint=advice(item.options[name], value, expected),
    )
