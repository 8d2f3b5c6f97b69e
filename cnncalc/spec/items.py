"""One item of a layer list: `kind`, `kind: scalar` or `kind: {fields}`, and what stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cnncalc.errors import (
    ExpressionError,
    FieldError,
    Place,
    ReferenceSpecError,
    did_you_mean,
    shorten,
)
from cnncalc.layers import registry
from cnncalc.spec.architecture import ITEM_KEYS, SUGAR, Architecture
from cnncalc.spec.complaints import check_brackets, missing_space, unknown_key
from cnncalc.spec.expressions import is_expression, names_in
from cnncalc.spec.text import fields_at, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

GROUP = "group"
RESIDUAL = "residual"
JOIN_OF_RESIDUAL = "add"
"""What joins the body and the shortcut of a residual."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """An item as written: `value` is what stands behind its kind, still with expressions.

    Items are equal only if they are one: each place of a spec has its own.
    """

    kind: str
    value: Any
    raw: Any
    key: Any
    """Key of the kind in `raw`; or, for a bare word, its index in the list `raw`."""
    options: dict[str, Any]

    @property
    def place(self) -> Place | None:
        return place_of(self.raw, self.key, of_key=True)

    def option_place(self, name: str) -> Place | None:
        return place_of(self.raw, name)

    def names_of_if(self) -> frozenset[str]:
        """The names that its condition uses. Raises `ExpressionError`."""
        condition = self.options.get("if", True)
        try:
            return names_in(condition) if is_expression(condition) else frozenset()
        except ExpressionError as error:
            raise error.at(self.option_place("if"), "if") from None

    def referring(self, option: str, function: Callable[[], T]) -> T:
        """`function()`, with an error about a name placed at the option that gives it."""
        try:
            return function()
        except ReferenceSpecError as error:
            given = option in self.options
            place = self.option_place(option) if given else self.place
            raise error.at(place, option if given else "") from None

    def fields(self, main: str | None) -> dict[str, Any] | None:
        """Its value as fields: a scalar is that of `main`; None where there is no main field."""
        if isinstance(self.value, dict):
            return self.value
        if self.value is not None and main is None:
            return None
        fields = fields_at(self.raw, self.key, main)
        if self.value is not None and main is not None:
            fields[main] = self.value
        return fields


class Items:
    """A list of items, each parsed where it is first reached."""

    __slots__ = ("_architecture", "parsed", "raw")

    def __init__(self, raw: list[Any], architecture: Architecture) -> None:
        self.raw = raw
        self._architecture = architecture
        self.parsed: list[Item | None] = [None] * len(raw)

    def parse(self, index: int) -> Item:
        """Raises `FieldError` if what stands there is no item."""
        item = self.parsed[index] = parse_item(self.raw, index, self._architecture)
        return item


def parse_item(items: list[Any], index: int, architecture: Architecture) -> Item:
    """The item at `index` of a layer list.

    Raises:
        FieldError: it is no item, has no kind or several, or an unknown key.
    """
    raw = items[index]
    if isinstance(raw, str):
        return Item(raw, None, items, index, {})
    if not isinstance(raw, dict) or not raw:
        raise FieldError(
            "an item is missing after -" if raw is None else f"is not a layer: {shorten(raw)}",
            place=place_of(items, index),
            hint="write `- kind`, `- kind: value` or `- kind: {fields}`",
        )
    kinds = [key for key in raw if key not in ITEM_KEYS]
    if len(kinds) != 1:
        check_brackets(raw, "")
        raise _kind_error(raw, kinds, architecture)
    key = kinds[0]
    options = {name: raw[name] for name in ITEM_KEYS if name in raw} if len(raw) > 1 else {}
    value = raw[key]
    if isinstance(value, dict):
        check_brackets(value, key)
    return Item(GROUP if key == "layers" else key, value, raw, key, options)


def _kind_error(raw: dict[str, Any], kinds: list[str], architecture: Architecture) -> FieldError:
    if not kinds:
        return FieldError(
            "this item has no kind",
            place=place_of(raw),
            hint="write a layer kind, a block or layers: beside its other keys",
        )
    known = [key for key in kinds if is_kind(key, architecture)]
    strange = [key for key in kinds if key not in known]
    if known and strange:
        names = [*ITEM_KEYS, *_fields_of(known[0])]
        error = unknown_key(raw, strange[0], names, path="", what="key")
        if strange[0] in _fields_of(known[0]):
            error.message = f"a field of {known[0]}, not a key beside it"
            error.hint = f"indent it below {known[0]}, or write {known[0]}: {{{strange[0]}: …}}"
        return error
    return FieldError(
        f"an item has one kind; this one has {', '.join(map(shorten, kinds[:5]))}",
        place=place_of(raw, kinds[1], of_key=True),
        hint="begin each layer with its own -",
    )


def _fields_of(kind: str) -> list[str]:
    cls = registry().get(kind)
    return list(cls.model_fields) if cls else []


def is_kind(name: str, architecture: Architecture) -> bool:
    """Whether an item may begin with this word."""
    return is_expression(name) or name in SUGAR or name in architecture.blocks or name in registry()


def unknown_kind(kind: object, place: Place | None, architecture: Architecture) -> FieldError:
    """The error for a word that is neither a layer kind nor a block."""
    word = str(kind)
    other = _other_name(word.lower())
    if missing_space(word):
        hint = missing_space(word)
    elif " - " in word:
        hint = "begin each layer on a line of its own, in the same column"
    elif other:
        hint = f"did you mean {other}?"
    else:
        hint = did_you_mean(word, [*registry(), RESIDUAL, *architecture.blocks])
    return FieldError(
        f"unknown layer {shorten(kind)}",
        place=place,
        hint=hint or "cnncalc schema lists every kind",
    )


def _other_name(word: str) -> str | None:
    """The kind that others call so."""
    called = SUGAR | {kind: cls.also_called for kind, cls in registry().items()}
    return next((kind for kind, names in called.items() if word in names), None)


def branches_of(item: Item, kind: str) -> list[tuple[str, Any]]:
    """Name and items of each branch of a join of this kind; none where it takes `inputs`.

    Raises:
        FieldError: its value is no list of branches.
    """
    value = item.value
    if kind == RESIDUAL:
        return _residual_branches(item)
    if isinstance(value, dict) and value:
        error = unknown_key(value, next(iter(value)), (), path=kind)
        error.hint = f"{kind} has no fields: write {kind}: [[…], […]]"
        raise error
    if value is None or value in ({}, []):
        if "inputs" not in item.options:
            raise FieldError(
                "needs branches or inputs",
                place=item.place,
                path=kind,
                hint=f"write {kind}: [[…], […]], or {{{kind}: {{}}, inputs: [a, b]}}",
            )
        return []
    if "inputs" in item.options:
        raise FieldError(
            "takes branches or inputs, not both",
            place=item.option_place("inputs"),
            path=kind,
            hint=f"write {kind}: {{}} beside inputs",
        )
    if not isinstance(value, list) or not all(isinstance(branch, list) for branch in value):
        raise FieldError(
            f"must be a list of branches, each a list of items; received {shorten(value)}",
            place=place_of(item.raw, item.key),
            path=kind,
            hint=f"write {kind}: [[…], […]]; an empty branch [] passes its input on",
        )
    if len(value) < 2:
        raise FieldError(
            "needs at least two branches",
            place=place_of(item.raw, item.key),
            path=kind,
            hint="an empty branch [] passes its input on",
        )
    return [(f"branch{number}", branch) for number, branch in enumerate(value, start=1)]


def _residual_branches(item: Item) -> list[tuple[str, Any]]:
    value = item.value
    if isinstance(value, list):
        value = {"body": value}
    if not isinstance(value, dict):
        raise FieldError(
            f"must be a list of items, or body: and shortcut:; received {shorten(value)}",
            place=item.place if value is None else place_of(item.raw, item.key),
            path=RESIDUAL,
            hint="write its items below it, each beginning with -",
        )
    for key in value:
        if key not in ("body", "shortcut"):
            raise unknown_key(value, key, ("body", "shortcut"), path=RESIDUAL)
    given = {name: branch for name, branch in value.items() if branch is not None}
    branches = [(name, given.get(name, [])) for name in ("body", "shortcut")]
    for name, branch in branches:
        if not isinstance(branch, list):
            raise FieldError(
                f"must be a list of items; received {shorten(branch)}",
                place=place_of(value, name),
                path=f"{RESIDUAL}.{name}",
            )
    return branches
