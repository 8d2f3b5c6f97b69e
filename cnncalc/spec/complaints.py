"""Pydantic's complaints in one sentence each, placed in the file."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from cnncalc.errors import FieldError, did_you_mean, shorten
from cnncalc.spec.expressions import QUOTE_HINT, has_unbalanced_brackets, is_expression
from cnncalc.spec.text import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Model = TypeVar("Model", bound=BaseModel)

_INFERRED = "it follows from what flows in: leave it out"
_NO_FIELDS = {
    **dict.fromkeys(("in_channels", "in_features", "num_features", "input_shape"), _INFERRED),
    "activation": "write the activation as an item of its own, below this one",
}
"""Fields that other libraries have and no layer here, and what to do about them."""


def validated(
    model: type[Model],
    fields: Mapping[str, Any],
    *,
    path: str,
    raw: object = None,
    examples: Mapping[str, str] | None = None,
) -> Model:
    """`model(**fields)`; `raw` is the data that the fields came from, for places.

    `examples` says for a field how it is written.

    Raises:
        FieldError: a field is unknown, missing or ill-typed.
    """
    if not fields and not any(field.is_required() for field in model.model_fields.values()):
        return model.model_construct()  # its defaults need no check, nor a checker to be built
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _translated(model, fields, error, path, raw, examples or {}) from None


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
    container: object,
    key: str,
    known: Iterable[str],
    *,
    path: str,
    what: str = "field",
    others: Mapping[str, str] | None = None,
) -> FieldError:
    """The error for a key that is not among the known ones; `others` are other names of those."""
    hint = did_you_mean(key, known)
    if what == "field" and path and not hint.startswith("did"):
        other = (others or {}).get(key)
        hint = f"did you mean {other}?" if other else _NO_FIELDS.get(key, hint)
    if key == "in_channels":
        hint = _INFERRED  # not out_channels, however close
    return FieldError(
        f"unknown {what}",
        place=place_of(container, key, of_key=True),
        path=_join(path, key),
        hint=missing_space(key) or hint,
    )


def missing_space(word: str) -> str:
    """Advice on a word such as `kernel_size:3`, in which YAML sees no key."""
    match = re.match(r"(\w+):(\S+)", word[:100])
    if match:
        return f"a colon needs a space after it: {match[1]}: {match[2]}"
    match = re.match(r"(\w+) ?[{\[]", word[:100])
    return f"a colon is missing after {match[1]}" if match else ""


def expected(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None) -> str:
    """What a JSON Schema asks for, in words: `an integer of at least 1 or a list of …`."""
    phrases = _phrases(schema, schema.get("$defs", definitions) or {})
    return " or ".join(part for part in (", ".join(phrases[:-1]), phrases[-1]) if part)


def _phrases(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """The alternatives that a schema leaves."""
    if "$ref" in schema:
        return _phrases(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        phrases: list[str] = []
        for choice in schema["anyOf"]:
            several = _list_of(choice, phrases[0], definitions) if phrases else ""
            phrases += [several] if several else _phrases(choice, definitions)
        return phrases
    if "enum" in schema or "const" in schema:
        return [str(value) for value in schema.get("enum", [schema.get("const")])]
    kind = schema.get("type", "another value")
    if kind in ("integer", "number"):
        return [{"integer": "an integer", "number": "a number"}[kind] + _bounds(schema)]
    if kind == "array":
        return [_list_of(schema, "", definitions)]
    words = {"boolean": "true or false", "string": "text", "object": "a mapping", "null": "null"}
    return [words.get(kind, str(kind))]


def _list_of(schema: Mapping[str, Any], before: str, definitions: Mapping[str, Any]) -> str:
    """`a list of up to 3 of them` where `them` are what stands before; empty for no list."""
    if schema.get("type") != "array":
        return ""
    most = schema.get("maxItems")
    fixed = most is not None and most == schema.get("minItems")
    count = f" of {most}" if fixed else f" of up to {most}" if most else ""
    items = schema.get("prefixItems", [schema.get("items")])[0]
    if not items:
        return f"a list{count}"
    each = expected(items, definitions)
    return f"a list{count} of them" if each == before else f"a list{count}, each {each}"


def _bounds(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    high = schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None and below is not None:
        return f" from {low} to below {below}"
    if low is not None:
        return f" of at least {low}"
    return f" above {above}" if above is not None else ""


def _translated(
    model: type[BaseModel],
    fields: Mapping[str, Any],
    error: ValidationError,
    path: str,
    raw: object,
    examples: Mapping[str, str],
) -> FieldError:
    complaints = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [c for c in complaints if c["type"] == "extra_forbidden"]
    first = (unknown or complaints)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if unknown:
        others = getattr(model, "fields_also_called", None)
        return unknown_key(raw, name, model.model_fields, path=path, others=others)
    field = model.model_fields.get(name)
    if field is None:
        return FieldError(first["msg"], place=place_of(raw, None), path=path)
    whole = model.model_json_schema()
    wanted = expected(whole["properties"][name], whole.get("$defs"))
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return FieldError(
            f"needs {name}: {wanted}",
            place=place_of(raw, None),
            path=path,
            hint=examples.get(name, ""),
        )
    written = raw.get(name) if isinstance(raw, dict) else None
    hint = examples.get(name, "") or advice(written, fields[name], wanted)
    origin = f", from {shorten(written)}" if is_expression(written) else ""
    return FieldError(
        f"must be {wanted}; received {shorten(fields[name])}{origin}",
        place=place_of(raw, name),
        path=_join(path, name),
        hint=hint,
    )


def advice(written: object, value: object, wanted: str) -> str:
    """What a reader may have meant who wrote `written`, worth `value`, where `wanted` should be."""
    if is_expression(written):
        fraction = isinstance(value, float) and "integer" in wanted
        return "// divides and rounds down" if fraction and "/" in str(written) else ""
    if value is None:
        return "its value is missing"
    if isinstance(value, float) and not isfinite(value):
        return "write a finite one"
    if not isinstance(value, str) or wanted == "text" or not value:
        return ""
    if re.fullmatch(r"[-+]?[0-9.]+", value):
        return f"remove the quotes: {value[:40]}"
    if "true or false" in wanted and value.lower() in ("yes", "on", "no", "off"):
        return f"write {'true' if value.lower() in ('yes', 'on') else 'false'}"
    close = did_you_mean(value, re.findall(r"[a-z_]{4,}", wanted))
    if close.startswith("did"):
        return close
    computable = any(word in wanted for word in ("integer", "number", "true or false"))
    expression = value.isidentifier() or re.search(r"[-+*/%<>(\[]", value[:40])
    if computable and expression and len(value) <= 40:
        return f"an expression begins with =: ={value}"
    return ""


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
