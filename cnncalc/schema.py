"""The JSON Schema of a spec, for editors: the layer classes' own, with expressions let in."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from cnncalc.items import JOINS, RESIDUAL
from cnncalc.layers import registry
from cnncalc.spec import Architecture, Block

if TYPE_CHECKING:
    from cnncalc.layers.base import Layer

DIALECT = "http://json-schema.org/draft-07/schema#"
"""Draft 7, which VS Code's YAML extension reads."""

_EXPRESSION: dict[str, Any] = {
    "type": "string",
    "pattern": "^=",
    "description": "An expression, such as =4*width.",
}
_ITEMS = {"type": "array", "items": {"$ref": "#/definitions/item"}}
_IDENTIFIER = "^[A-Za-z_][A-Za-z0-9_]*$"


def json_schema() -> dict[str, Any]:
    """The schema of a whole file."""
    schema = Architecture.model_json_schema()
    properties = {name: dict(value) for name, value in schema["properties"].items()}
    properties["input"] |= {
        "items": with_expressions({"type": "integer", "minimum": 1}),
        "minItems": 1,
        "maxItems": 4,
    }
    properties["layers"] |= {**_ITEMS, "minItems": 1}
    properties["blocks"] |= {
        "propertyNames": {"pattern": _IDENTIFIER, "not": {"enum": sorted(registry())}},
        "additionalProperties": {"$ref": "#/definitions/block"},
    }
    properties["parameters"] |= {"propertyNames": {"pattern": _IDENTIFIER}}
    properties["variants"] |= {"additionalProperties": {"type": ["object", "null"]}}
    return {
        "$schema": DIALECT,
        "title": "cnncalc network",
        **{key: value for key, value in schema.items() if key in ("type", "required")},
        "additionalProperties": False,
        "properties": properties,
        "definitions": {"item": _item(), "block": _block()},
    }


def with_expressions(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema`, or a string that begins with `=` in its place or in its items'."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    if isinstance(schema.get("items"), dict):
        schema["items"] = with_expressions(schema["items"])
    if "prefixItems" in schema:  # draft 7 spells a tuple's items otherwise
        schema["items"] = [with_expressions(item) for item in schema.pop("prefixItems")]
    if "anyOf" in schema:
        choices = [with_expressions(choice)["anyOf"][:-1] for choice in schema["anyOf"]]
        flat = [choice for nested in choices for choice in nested]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**rest, "anyOf": [*flat, _EXPRESSION]}
    rest = {key: schema.pop(key) for key in ("default", "description") if key in schema}
    return {**rest, "anyOf": [schema, _EXPRESSION]}


def _item() -> dict[str, Any]:
    kinds = registry()
    needing = sorted(kind for kind, cls in kinds.items() if _required(cls) or kind in JOINS)
    join = {
        "anyOf": [
            {"type": "array", "items": _ITEMS},
            {"type": ["object", "null"], "maxProperties": 0},
        ]
    }
    properties: dict[str, Any] = {
        kind: {"description": inspect.getdoc(cls), **_value(cls)} for kind, cls in kinds.items()
    }
    for kind in JOINS:
        properties[kind] = {"description": inspect.getdoc(kinds[kind]), **join}
    branches = {"body": _ITEMS, "shortcut": {"anyOf": [_ITEMS, {"type": "null"}]}}
    properties[RESIDUAL] = {
        "description": "The sum of a body and a shortcut, which passes its input on if left out.",
        "anyOf": [
            _ITEMS,
            {"type": "object", "properties": branches, "additionalProperties": False},
        ],
    }
    properties |= {
        "layers": {"description": "A group of items.", **_ITEMS},
        "name": {"type": "string", "pattern": _IDENTIFIER},
        "inputs": {
            "description": "Names of the earlier nodes that this item takes.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        },
        "repeat": with_expressions({"type": "integer", "minimum": 0}),
        "if": with_expressions({"type": "boolean"}),
        "shares": {"type": "string", "description": "The node whose weights this one uses."},
        "frozen": with_expressions({"type": "boolean"}),
    }
    one_kind = [{"required": [kind]} for kind in sorted([*kinds, RESIDUAL, "layers"])]
    return {
        "anyOf": [
            {"enum": sorted({*kinds} - {*needing}), "description": "A layer with its defaults."},
            {
                "type": "string",
                "pattern": "^(=.*|[A-Za-z_][A-Za-z0-9_]*)$",
                "not": {"enum": [*needing, RESIDUAL, "layers"]},
                "description": "A block, or an expression that names a layer.",
            },
            {
                "type": "object",
                "minProperties": 1,
                "properties": properties,
                "propertyNames": {"pattern": "^(=.*|[A-Za-z_][A-Za-z0-9_]*)$"},
                "oneOf": [*one_kind, {"not": {"anyOf": one_kind}}],
            },
        ]
    }


def _value(cls: type[Layer]) -> dict[str, Any]:
    """What may stand behind a kind: its fields, its main field alone, or nothing."""
    schema = cls.model_json_schema()
    properties = {
        name: with_expressions(value) for name, value in schema.get("properties", {}).items()
    }
    fields = {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }
    choices = [fields]
    required = _required(cls)
    if cls.main is not None and required <= {cls.main}:
        choices += properties[cls.main]["anyOf"]
    if not required and {"type": "null"} not in choices:
        choices.append({"type": "null"})
    return {"anyOf": choices}


def _required(cls: type[Layer]) -> set[str]:
    return {name for name, field in cls.model_fields.items() if field.is_required()}


def _block() -> dict[str, Any]:
    schema = Block.model_json_schema()
    properties = {name: dict(value) for name, value in schema["properties"].items()}
    properties["layers"] |= _ITEMS
    properties["parameters"] |= {"propertyNames": {"pattern": _IDENTIFIER}}
    return {
        "type": "object",
        "properties": properties,
        "required": schema["required"],
        "additionalProperties": False,
    }
