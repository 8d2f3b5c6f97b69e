"""The file format: what a spec may hold. An item of a layer list stays raw until it is expanded."""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, PrivateAttr

from cnncalc.errors import (
    ExpressionError,
    FieldError,
    LimitError,
    ReferenceSpecError,
    did_you_mean,
    shorten,
)
from cnncalc.layers import own
from cnncalc.spec.arithmetic import FUNCTIONS
from cnncalc.spec.complaints import check_brackets, unknown_key, validated
from cnncalc.spec.expressions import CONSTANTS, evaluate, is_expression, worked_out
from cnncalc.spec.init_section import MAIN, Initialization, parse_initialization
from cnncalc.spec.limits import check_bounds
from cnncalc.spec.text import fields_at, place_of
from cnncalc.spec.words import MAX_NAME
from cnncalc.spec.yaml import plain
from cnncalc.wording import some

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnncalc.spec.train_section import Recipe

FLOW_NAMES = ("in_channels", "in_size", "index")
"""What an expression sees beside parameters."""
ITEM_KEYS = ("name", "inputs", "repeat", "if", "shares", "frozen")
"""What may stand beside the kind in an item."""
SUGAR: dict[str, tuple[str, ...]] = {"layers": ("sequential",), "residual": ("skip",), "group": ()}
"""Words of the format that are no layer kinds, and what others call them."""
NAMED = 3
"""Tensors, outputs and branches that a line about what is left out names."""
MAX_PARAMETERS = 256
"""Most parameters of a network, or of a block."""
EXAMPLES = {
    "input": "write input: [3, 224, 224] for images of 3×224×224",
    "layers": "write one item a line, each beginning with - and a space",
    "init": "write init: kaiming, or init: {weights: kaiming, seed: 0}",
}


class Block(BaseModel):
    """A named list of layers with parameters of its own; called like a layer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    parameters: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Name and default of each parameter; null: required."
    )
    layers: InstanceOf[list[Any]] = Field(description="The items of the block, in order.")


class LeftOut(BaseModel):
    """What an imported network has and its spec has not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    parameters: dict[str, int] = Field(
        default={}, description="Numbers in each parameter, by its name in the source."
    )
    outputs: list[str] = Field(default=[], description="Outputs, by name in the source.")
    branches: list[str] = Field(default=[], description="Branches of a condition, by name.")

    def __bool__(self) -> bool:
        return bool(self.parameters or self.outputs or self.branches)

    def lines(self) -> list[str]:
        """What is left out, in words."""
        lines = []
        if self.parameters:
            count = sum(self.parameters.values())
            lines.append(f"parameters left out: {count:,} of {some([*self.parameters], NAMED)}")
        for what, names in (("outputs", self.outputs), ("branches", self.branches)):
            lines += [f"{what} left out: {some(names, NAMED)}"] if names else []
        return lines


NOTHING_LEFT_OUT = LeftOut()


class Imported(BaseModel):
    """What `import` knows of the network that it read; not to be written by hand."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    source: str = Field(default="", description="What was imported.")
    left_out: LeftOut = Field(default=NOTHING_LEFT_OUT, description="What this file has not of it.")
    weights: dict[str, str] = Field(
        default={},
        description="Name of each module, or tensor, and its name in the source if it has another.",
    )


class Architecture(BaseModel):
    """One network, or a family of networks with parameters and variants."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: str = Field(default="", description="The network's name; the file's, if none is given.")
    source: str = Field(default="", description="Where the network was published.")
    input: InstanceOf[list[Any]] = Field(
        description="[C, L], [C, H, W] or [C, D, H, W]; [N] for a vector. No batch axis."
    )
    parameters: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Name and default of each parameter; null: required."
    )
    variants: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Name of each variant and the parameters that it sets."
    )
    blocks: InstanceOf[dict[str, Any]] = Field(
        default={}, description="Blocks: layer lists with parameters, called like layers."
    )
    layers: InstanceOf[list[Any]] = Field(description="The layers, in order.")
    init: str | InstanceOf[dict[str, Any]] = Field(
        default={}, description="How the weights of the built module start."
    )
    train: InstanceOf[dict[str, Any]] | None = Field(
        default=None, description="How the network is trained."
    )
    imported: InstanceOf[dict[str, Any]] = Field(
        default={}, description="What import knows of the network that it read."
    )

    _data: Any = PrivateAttr(default=None)
    _variant: str | None = PrivateAttr(default=None)
    _overrides: dict[str, Any] = PrivateAttr(default_factory=dict)
    _blocks: dict[str, Block] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_data(cls, data: Any, name: str = "") -> Architecture:
        """The architecture that plain data describe; `name` is used if they give none.

        Raises:
            FieldError: a key is unknown, missing or ill-typed.
        """
        data = plain(data)
        if not isinstance(data, dict):
            what = "is empty" if data is None else f"holds {shorten(data)}, not a mapping"
            raise FieldError(
                f"the spec {what}",
                place=place_of(data),
                hint="it needs at least input: and layers:",
            )
        for key in ("inputs", "output", "outputs"):
            if key in data:
                raise FieldError(
                    "a network has one input and one output",
                    place=place_of(data, key, of_key=True),
                    path=key,
                    hint="write input: [C, H, W]; the last layer is the output",
                )
        check_brackets(data, "")
        self = validated(cls, data, path="", raw=data, examples=EXAMPLES)
        if not self.name:
            self = self.model_copy(update={"name": name})
        self._data = data
        self._check_names()
        self._blocks = {key: self._block(key) for key in self.blocks}
        return self

    def configured(
        self,
        *,
        variant: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        input: list[Any] | None = None,  # noqa: A002 - the file's own word
    ) -> Architecture:
        """A copy as `variant`, with parameters set on top of it and another input.

        Raises:
            SpecError: there is no such variant or parameter.
        """
        copy = self.model_copy(update={} if input is None else {"input": input})
        if variant is not None:
            if variant not in self.variants:
                hint = did_you_mean(variant, self.variants) or "the file names no variants"
                raise ReferenceSpecError(
                    f"{shorten(self.name)} has no variant {shorten(variant)}", hint=hint
                )
            copy._variant = variant
        for key in parameters or {}:
            if key not in self.parameters:
                hint = did_you_mean(key, self.parameters) or "the file has no parameters"
                raise ReferenceSpecError(
                    f"{shorten(self.name)} has no parameter {shorten(key)}", hint=hint
                )
        copy._overrides = {**self._overrides, **plain(parameters or {})}
        return copy

    @property
    def title(self) -> str:
        """The variant's name, or the network's."""
        return self._variant or self.name

    def checked_blocks(self) -> Mapping[str, Block]:
        """The blocks by name, validated."""
        return self._blocks

    def parameter_values(self) -> dict[str, Any]:
        """Every parameter's value: set on the command line, by the variant, or the default.

        Raises:
            SpecError: a parameter has no value, or its expression fails.
        """
        variant = (self.variants[self._variant] or {}) if self._variant is not None else {}
        values: dict[str, Any] = {}
        for key in self.parameters:
            layers = (self._overrides, variant, self.parameters)
            chosen = next(layer for layer in layers if key in layer)
            place, path = place_of(chosen, key), f"parameters.{key}"
            try:
                value = worked_out(chosen[key], values)
            except ExpressionError as error:
                if error.undefined in self.parameters:
                    error.hint = f"a default sees the parameters above it: move {key} below"
                raise error.at(place, path) from None
            if value is None:
                raise FieldError(
                    "has no value",
                    place=place,
                    path=path,
                    hint=f"give it one: --set {key}=…, or a variant",
                )
            values[key] = value
        return values

    def input_shape(self, parameters: Mapping[str, Any]) -> tuple[int, ...]:
        """The shape of one sample. Raises `SpecError`."""
        forms = "write [C, L], [C, H, W], [C, D, H, W], or [N] for a vector"
        if not 1 <= len(self.input) <= 4:
            raise FieldError(
                f"has {len(self.input)} axes", place=place_of(self.input), path="input", hint=forms
            )
        sizes: list[int] = []
        for index, size in enumerate(self.input):
            try:
                value = evaluate(size, parameters) if is_expression(size) else size
            except ExpressionError as error:
                raise error.at(place_of(self.input, index), "input") from None
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise FieldError(
                    f"must be positive integers; received {shorten(value)}",
                    place=place_of(self.input, index),
                    path="input",
                    hint=f"{forms}: no batch axis" if value is None or value == -1 else "",
                )
            sizes.append(value)
        try:
            check_bounds("the input", sizes)
        except LimitError as error:
            raise error.at(place_of(self.input), "input") from None
        return tuple(sizes)

    def initialization(self, parameters: Mapping[str, Any]) -> Initialization:
        """How the weights start. Raises `SpecError`."""
        if isinstance(self.init, dict):
            return parse_initialization(self.init, parameters)
        fields = fields_at(self._data, "init", MAIN)
        fields[MAIN] = self.init
        return parse_initialization(fields, parameters)

    def origin(self) -> Imported:
        """What is known of the network that this was imported from. Raises `SpecError`."""
        left_out = self.imported.get("left_out")
        if isinstance(left_out, dict):  # its own mistakes, each at its place
            validated(LeftOut, left_out, path="imported.left_out", raw=left_out)
        return validated(Imported, self.imported, path="imported", raw=self.imported)

    def portable(self) -> dict[str, Any]:
        """What `load` makes this network of again: arguments that JSON can hold."""
        return {
            "spec": {**self._data, "name": self.name},
            "variant": self._variant,
            "parameters": self._overrides,
            "input": list(self.input),
        }

    def recipe(self, settings: Mapping[str, Any] | None = None) -> Recipe:
        """How the network is trained, with fields set on top: `{"optimizer.lr": 0.1}`.

        Raises:
            SpecError: a field is wrong.
        """
        from cnncalc.spec.train_reading import parse_recipe, with_settings

        fields = with_settings(self.train or {}, settings or {})
        return parse_recipe(fields, self.parameter_values())

    def _block(self, name: str) -> Block:
        path = f"blocks.{name}"
        raw = self.blocks[name]
        if not isinstance(raw, dict):
            raise FieldError(
                f"must be a mapping with layers:; received {shorten(raw)}",
                place=place_of(self.blocks, name),
                path=path,
            )
        block = validated(Block, raw, path=path, raw=raw)
        _check_parameter_names(block.parameters, f"{path}.parameters")
        return block

    def _check_names(self) -> None:
        _check_parameter_names(self.parameters, "parameters")
        for name in self.blocks:
            problem = _name_problem(name)
            if not problem and (name in SUGAR or name in ITEM_KEYS):
                problem = "is a word of the file format"
            if not problem:
                problem = "is the name of a layer kind" if own(name) else ""
            if problem:
                raise FieldError(
                    f"{shorten(name)} {problem}",
                    place=place_of(self.blocks, name, of_key=True),
                    path=f"blocks.{name}",
                    hint="give the block another name",
                )
        for name, values in self.variants.items():
            if not isinstance(values, dict | None):
                raise FieldError(
                    f"must be a mapping of parameters; received {shorten(values)}",
                    place=place_of(self.variants, name),
                    path=f"variants.{name}",
                )
            path = f"variants.{name}"
            check_brackets(values or {}, path)
            for key in values or {}:
                if key not in self.parameters:
                    raise unknown_key(values, key, self.parameters, path=path, what="parameter")


def _check_parameter_names(parameters: Mapping[str, Any], path: str) -> None:
    check_brackets(parameters, path)
    if len(parameters) > MAX_PARAMETERS:
        raise LimitError(f"over {MAX_PARAMETERS} parameters", place=place_of(parameters), path=path)
    for name in parameters:
        problem = _name_problem(name)
        if not problem and (name in FLOW_NAMES or name in FUNCTIONS or name in CONSTANTS):
            problem = "has a meaning of its own in expressions"
        if problem:
            raise FieldError(
                f"{shorten(name)} {problem}",
                place=place_of(parameters, name, of_key=True),
                path=f"{path}.{name}",
                hint="give the parameter another name",
            )


def _name_problem(name: str) -> str:
    if not name.isidentifier():
        return "is no identifier (letters, digits and _)"
    if len(name) > MAX_NAME:
        return f"is over {MAX_NAME} characters long"
    return "is a word of Python" if iskeyword(name) else ""
