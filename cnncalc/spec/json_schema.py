"""The JSON Schema of a spec, for editors: the layer classes' own, with expressions let in."""

from __future__ import annotations

import inspect
from keyword import kwlist
from typing import TYPE_CHECKING, Any

from cnncalc.layers import registry
from cnncalc.spec.architecture import FLOW_NAMES, ITEM_KEYS, SUGAR, Architecture, Block
from cnncalc.spec.arithmetic import FUNCTIONS
from cnncalc.spec.expressions import CONSTANTS
from cnncalc.spec.init_section import MAIN, Initialization
from cnncalc.spec.items import RESIDUAL
from cnncalc.spec.train_section import SECTIONS, Recipe
from cnncalc.spec.words import RESERVED

if TYPE_CHECKING:
    from cnncalc.layers.base import Layer
    from cnncalc.spec.train_section import Section

DIALECT = "http://json-schema.org/draft-07/schema#"
"""Draft 7, which VS Code's YAML extension reads."""

_WORD = r"[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF]*"
_IDENTIFIER = {"pattern": f"^{_WORD}$"}
_EXPRESSION = {"$ref": "#/definitions/expression"}
_ITEM = {"$ref": "#/definitions/item"}
_ITEMS = {"type": "array", "items": _ITEM}
_NULL = {"type": "null"}
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def json_schema() -> dict[str, Any]:
    """The schema of a whole file."""
    schema = Architecture.model_json_schema()
    properties = {name: _untitled(value) for name, value in schema["properties"].items()}
    properties["input"] |= {
        "items": with_expressions({"type": "integer", "minimum": 1}),
        "minItems": 1,
        "maxItems": 4,
    }
    properties["layers"] |= {**_ITEMS, "minItems": 1}
    properties["blocks"] |= {
        "propertyNames": _name_but([*registry(), *SUGAR, *ITEM_KEYS, *kwlist]),
        "additionalProperties": {"$ref": "#/definitions/block"},
    }
    properties["init"] = _initialization(properties["init"]["description"])
    properties["parameters"] |= _parameters()
    properties["train"] = _training(properties["train"]["description"])
    properties["variants"] |= {"additionalProperties": {"type": ["object", "null"]}}
    return {
        "$schema": DIALECT,
        "title": "cnncalc network",
        "type": "object",
        "required": schema["required"],
        "additionalProperties": False,
        "properties": properties,
        "definitions": {
            "expression": {
                "type": "string",
                "pattern": "^=",
                "description": "An expression, such as =4*width.",
            },
            "item": {"anyOf": [*_words(), _layer_item(), _block_item()]},
            "block": _block(),
            **{kind: _kind(cls) for kind, cls in registry().items()},
        },
    }


def with_expressions(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema`, or a string that begins with `=` in its place or in its items'."""
    schema = _untitled(schema)
    if isinstance(schema.get("items"), dict):
        schema["items"] = with_expressions(schema["items"])
    if "prefixItems" in schema:  # draft 7 spells a tuple's items otherwise
        schema["items"] = [with_expressions(item) for item in schema.pop("prefixItems")]
    rest: dict[str, Any] = {
        key: schema.pop(key) for key in ("default", "description") if key in schema
    }
    if "anyOf" not in schema:
        return {**rest, "anyOf": [schema, _EXPRESSION]}
    nested = [with_expressions(choice)["anyOf"] for choice in schema["anyOf"]]
    choices = [choice for flat in nested for choice in flat if choice != _EXPRESSION]
    return {**rest, "anyOf": [*choices, _EXPRESSION]}


def _words() -> list[dict[str, Any]]:
    """Items that are one word."""
    kinds = registry()
    bare = sorted(kind for kind, cls in kinds.items() if not _required(cls) and not cls.joins)
    others = sorted({*kinds, RESIDUAL, "layers"} - {*bare})
    return [
        {"enum": bare, "description": "A layer with its defaults."},
        {
            "type": "string",
            "pattern": f"^(=.*|{_WORD})$",
            "not": {"enum": others},
            "description": "A block, or an expression that names a layer.",
        },
    ]


def _layer_item() -> dict[str, Any]:
    """An item whose kind is a layer, a join, a residual or a group."""
    kinds: dict[str, Any] = {kind: {"$ref": f"#/definitions/{kind}"} for kind in registry()}
    branches = {"anyOf": [_ITEMS, {"type": "null"}]}
    kinds[RESIDUAL] = {
        "description": "The sum of a body and a shortcut, which passes its input on if left out.",
        "anyOf": [
            _ITEMS,
            {
                "type": "object",
                "properties": {"body": branches, "shortcut": branches},
                "additionalProperties": False,
            },
        ],
    }
    kinds["layers"] = {"description": "A group of items.", **_ITEMS}
    return {
        "type": "object",
        "properties": {**kinds, **_options()},
        "additionalProperties": False,
        "oneOf": [{"required": [kind]} for kind in kinds],
    }


def _block_item() -> dict[str, Any]:
    """An item that calls a block, or whose kind is an expression."""
    return {
        "type": "object",
        "properties": _options(),
        "propertyNames": {
            "pattern": f"^(=.*|{_WORD})$",
            "not": {"enum": sorted([*registry(), RESIDUAL, "layers"])},
        },
        "not": {"propertyNames": {"enum": [*ITEM_KEYS]}},
    }


def _options() -> dict[str, Any]:
    """What may stand beside a kind."""
    return {
        "name": {
            "type": "string",
            "pattern": "^[A-Za-z][A-Za-z0-9_]*$",
            "not": {"enum": sorted({"input", *RESERVED, *kwlist})},
        },
        "inputs": {
            "description": "Names of the earlier nodes that this item takes.",
            "anyOf": [{"type": "string"}, _NAMES],
        },
        "repeat": with_expressions({"type": "integer", "minimum": 0}),
        "if": with_expressions({"type": "boolean"}),
        "shares": {"type": "string", "description": "The node whose weights this one uses."},
        "frozen": with_expressions({"type": "boolean"}),
    }


def _kind(cls: type[Layer]) -> dict[str, Any]:
    """What may stand behind a kind: its fields, its main field alone, or nothing."""
    if cls.joins:
        branches = {"type": "array", "items": _ITEMS, "minItems": 2}
        choices: list[dict[str, Any]] = [branches, {"type": ["object", "null"], "maxProperties": 0}]
    else:
        schema = cls.model_json_schema()
        properties = {
            name: with_expressions(value) for name, value in schema.get("properties", {}).items()
        }
        required = _required(cls)
        choices = [
            {
                "type": "object",
                "properties": properties,
                "required": sorted(required),
                "additionalProperties": False,
            }
        ]
        if cls.main is not None and required <= {cls.main}:
            choices += properties[cls.main]["anyOf"]
        if not required and {"type": "null"} not in choices:
            choices.append({"type": "null"})
    return {"description": inspect.getdoc(cls), "anyOf": choices}


def _block() -> dict[str, Any]:
    schema = Block.model_json_schema()
    properties = {name: _untitled(value) for name, value in schema["properties"].items()}
    properties["layers"] |= _ITEMS
    properties["parameters"] |= _parameters()
    return {
        "type": "object",
        "properties": properties,
        "required": schema["required"],
        "additionalProperties": False,
    }


def _initialization(description: str) -> dict[str, Any]:
    """Its fields, or its main field alone."""
    schema = Initialization.model_json_schema()
    fields = {name: with_expressions(value) for name, value in schema["properties"].items()}
    fully = {"type": "object", "properties": fields, "additionalProperties": False}
    return {"description": description, "anyOf": [fully, *fields[MAIN]["anyOf"]]}


def _training(description: str) -> dict[str, Any]:
    """The recipe: its fields, and sections that may be their main field alone."""
    fields = {
        name: with_expressions(field)
        for name, field in Recipe.model_json_schema()["properties"].items()
    }
    for name, cls in SECTIONS.items():
        shown = {"description": Recipe.model_fields[name].description}
        fields[name] = {**shown, "anyOf": _section(cls)}
    both = {"required": ["epochs", "steps"], "properties": {"steps": {"not": _NULL}}}
    fully = {"type": "object", "properties": fields, "additionalProperties": False, "not": both}
    return {"description": description, "anyOf": [fully, _NULL]}


def _section(cls: type[Section]) -> list[dict[str, Any]]:
    """A section's fields, each beside a choice that it belongs to; or its main field alone."""
    fields = {
        name: _untitled(field) if field.get("type") == "object" else with_expressions(field)
        for name, field in cls.model_json_schema()["properties"].items()
    }
    main = fields[cls.main]["anyOf"]
    fully: dict[str, Any] = {"type": "object", "properties": fields, "additionalProperties": False}
    owned = {}
    for field, owners in cls.owners.items():
        chosen = {"properties": {cls.main: {"anyOf": [{"enum": [*owners]}, _EXPRESSION]}}}
        unsaid = cls.model_fields[cls.main].default in owners
        owned[field] = chosen if unsaid else {**chosen, "required": [cls.main]}
    if owned:
        fully["dependencies"] = owned
    if cls.needs:
        fully["allOf"] = [
            {
                "if": {"properties": {cls.main: {"const": choice}}, "required": [cls.main]},
                "then": {"required": [field]},
            }
            for choice, field in cls.needs.items()
        ]
        bare = {"not": {"enum": [*cls.needs]}}
        main = [choice if choice == _EXPRESSION else {**choice, **bare} for choice in main]
    return [fully, *main]


def _parameters() -> dict[str, Any]:
    return {"propertyNames": _name_but([*FLOW_NAMES, *FUNCTIONS, *CONSTANTS, *kwlist])}


def _name_but(taken: list[str]) -> dict[str, Any]:
    return {**_IDENTIFIER, "not": {"enum": sorted({*taken})}}


def _required(cls: type[Layer]) -> set[str]:
    return {name for name, field in cls.model_fields.items() if field.is_required()}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}
