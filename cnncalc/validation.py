"""Pydantic's complaints in one sentence each, placed in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from cnncalc.errors import FieldError, did_you_mean, shorten
from cnncalc.expressions import has_unbalanced_brackets, is_expression
from cnncalc.source import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Model = TypeVar("Model", bound=BaseModel)

QUOTE_HINT = 'inside {…} or […] quote an expression that holds , [ ] { }: "=depths[0]"'


def validated(
    model: type[Model], fields: Mapping[str, Any], *, path: str, raw: object = None
) -> Model:
    """`model(**fields)`; `raw` is the data that the fields came from, for places.

    Raises:
        FieldError: a field is unknown, missing or ill-typed.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _translated(model, fields, error, path, raw) from None


def check_brackets(fields: Mapping[str, Any], path: str) -> None:
    """Raises `FieldError` for an expression that YAML has cut at a comma or bracket."""
    for name, value in fields.items():
        if is_expression(value) and has_unbalanced_brackets(value):
            raise FieldError(
                f"{shorten(value)} has unbalanced brackets",
                place=place_of(fields, name),
                path=_join(path, name),
                hint=QUOTE_HINT,
            )


def unknown_key(
    container: object, key: str, known: Iterable[str], *, path: str, what: str = "field"
) -> FieldError:
    """The error for a key that is not among the known ones."""
    return FieldError(
        f"unknown {what}",
        place=place_of(container, key, of_key=True),
        path=_join(path, key),
        hint=did_you_mean(key, known),
    )


def expected(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None) -> str:
    """What a JSON Schema asks for, in words: `an integer of at least 1, or a list of …`."""
    definitions = schema.get("$defs", definitions) or {}
    if "$ref" in schema:
        return expected(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return " or ".join(expected(choice, definitions) for choice in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(str(value) for value in values)
    kind = schema.get("type", "another value")
    if kind in ("integer", "number"):
        return {"integer": "an integer", "number": "a number"}[kind] + _bounds(schema)
    if kind == "array":
        items = schema.get("prefixItems", [schema.get("items", {})])[0]
        length = schema.get("maxItems")
        count = (
            ""
            if not length
            else f" {length}"
            if length == schema.get("minItems")
            else f" up to {length}"
        )
        return f"a list of{count} ({expected(items, definitions)})" if items else "a list"
    words = {"boolean": "true or false", "string": "text", "object": "a mapping", "null": "null"}
    return words.get(kind, str(kind))


def _bounds(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum")
    above = schema.get("exclusiveMinimum")
    high = schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return f" above {above}" if above is not None else ""


def _translated(
    model: type[BaseModel],
    fields: Mapping[str, Any],
    error: ValidationError,
    path: str,
    raw: object,
) -> FieldError:
    complaints = error.errors(include_url=False)
    unknown = [c for c in complaints if c["type"] == "extra_forbidden"]
    first = (unknown or complaints)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if unknown:
        return unknown_key(raw, name, model.model_fields, path=path)
    field = model.model_fields.get(name)
    if first["type"] == "missing":
        schema = model.model_json_schema()["properties"][name]
        return FieldError(
            f"needs {name}: {expected(schema, model.model_json_schema().get('$defs'))}",
            place=place_of(raw, None),
            path=path,
        )
    if field is None:
        return FieldError(first["msg"], place=place_of(raw, None), path=path)
    whole = model.model_json_schema()
    schema = whole["properties"][name]
    return FieldError(
        f"must be {expected(schema, whole.get('$defs'))}; received {shorten(fields[name])}",
        place=place_of(raw, name),
        path=_join(path, name),
    )


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
