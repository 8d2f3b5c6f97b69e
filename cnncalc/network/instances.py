"""What an item comes to where it stands: its layer, or what the items of its block see.

Each is worked out once for all that see the same, however often a block is called or repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cnncalc.errors import FieldError, shorten
from cnncalc.layers import find
from cnncalc.network.context import Parameters
from cnncalc.spec.complaints import unknown_key, validated
from cnncalc.spec.expressions import has_expression, is_expression, names_within
from cnncalc.spec.text import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cnncalc.layers.base import Layer, Shape
    from cnncalc.network.context import Context
    from cnncalc.spec.architecture import Block
    from cnncalc.spec.items import Item

T = TypeVar("T")

LONG_LIST = 16


class Instances:
    """Those of one network, whose parameters every block sees."""

    def __init__(self, blocks: Mapping[str, Block], parameters: Mapping[str, Any]) -> None:
        self._blocks = blocks
        self._parameters = parameters
        self._layers: dict[tuple[str, str], Layer] = {}
        self._static: dict[Item, Layer] = {}
        """The layers of items without expressions."""
        self._known: dict[tuple[Any, ...], Any] = {}
        """What an item came to where the same was seen: see `_remembered`."""
        self._turning: dict[tuple[Item, str], bool] = {}
        """Whether an item of a kind depends on the turn of a repeat."""
        self._listed: dict[Layer, int] = {}
        """Numbers in the lists of those layers that have long ones."""

    def layer(self, item: Item, cls: type[Layer], shape: Shape, context: Context) -> Layer:
        """The item's layer; equal layers of one network are one object."""
        layer = self._static.get(item) or self._remembered(
            item, cls.kind, shape, context, lambda: self._layer(item, cls, shape, context)
        )
        if self._listed:
            context.budget.spend(self._listed.get(layer, 0))
        return layer

    def join(self, kind: str) -> Layer:
        """A join's own layer: it has no fields."""
        cls = find(kind)
        assert cls is not None
        return self._layers.get((kind, "{}")) or self._layers.setdefault((kind, "{}"), cls())

    def parameters(
        self, item: Item, kind: str, block: Block, shape: Shape, context: Context
    ) -> Parameters:
        """Everything that the items of a block see: the network's parameters and its own."""
        return self._remembered(
            item, kind, shape, context, lambda: self._arguments(item, kind, block, shape, context)
        )

    def _layer(self, item: Item, cls: type[Layer], shape: Shape, context: Context) -> Layer:
        fields = item.fields(cls.main)
        if fields is None:
            raise FieldError(
                f"takes no value; received {shorten(item.value)}",
                place=place_of(item.raw, item.key),
                path=cls.kind,
                hint=f"its fields: {', '.join(cls.model_fields)}"
                if cls.model_fields
                else f"write `- {cls.kind}` alone",
            )
        values = {key: context.field(fields, key, shape, cls.kind) for key in fields}
        key = (cls.kind, repr(values))
        layer = self._layers.get(key)
        if layer is None:
            layer = self._layers[key] = validated(cls, values, path=cls.kind, raw=fields)
            listed = sum(len(value) for value in values.values() if isinstance(value, tuple))
            if listed > LONG_LIST:
                self._listed[layer] = listed
        if not is_expression(item.kind) and not has_expression(item.value):
            self._static[item] = layer
        return layer

    def _arguments(
        self, item: Item, kind: str, block: Block, shape: Shape, context: Context
    ) -> Parameters:
        given = item.fields(next(iter(block.parameters), None))
        if given is None:
            raise FieldError(
                f"this block has no parameters; received {shorten(item.value)}",
                place=place_of(item.raw, item.key),
                path=kind,
                hint=f"write `- {kind}` alone",
            )
        for key in given:
            if key not in block.parameters:
                raise unknown_key(given, key, block.parameters, path=kind, what="parameter")
        values = Parameters(self._parameters)
        inner = None
        for key, default in block.parameters.items():
            if given.get(key) is not None:
                values[key] = context.argument(given, key, shape, kind)
            elif type(default) is int:
                values[key] = default
            elif default is None:
                raise FieldError(
                    f"needs {key}: it has no default",
                    place=item.place,
                    path=kind,
                    hint=f"write {kind}: {{{key}: …}}",
                )
            else:
                path = f"blocks.{kind}.parameters"
                inner = inner or context._replace(parameters=values, blocks=(kind,))
                values[key] = inner.argument(block.parameters, key, shape, path)
        values.key = repr({key: values[key] for key in block.parameters})
        return values

    def _remembered(
        self, item: Item, kind: str, shape: Shape, context: Context, work_out: Callable[[], T]
    ) -> T:
        """`work_out()`, once for an item that sees the same parameters, input shape and turn."""
        turning = self._turning.get((item, kind))
        if turning is None:
            block = self._blocks.get(kind)
            seen = [item.value, block.parameters if block else None]
            turning = self._turning[item, kind] = "index" in names_within(seen)
        key = (item, kind, context.parameters.key, shape, context.turn if turning else None)
        known: T | None = self._known.get(key)
        if known is None:
            known = self._known[key] = work_out()
        return known
