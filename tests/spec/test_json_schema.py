"""`cnncalc schema`: valid draft 7, and of one mind with cnncalc about what a spec may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from support import cnncalc_output, examples, network
from support.places import ROOT, SPECS
from support.strategies import STRATEGIES

import cnncalc
from cnncalc.errors import FieldError, ShapeError
from cnncalc.spec.text import read
from cnncalc.spec.train_section import SECTIONS, Recipe
from cnncalc.spec.yaml import parse

if TYPE_CHECKING:
    from strategies import Case

FILES = sorted([*(ROOT / "architectures").glob("*.yaml"), *SPECS.glob("*.yaml")])
SCHEMA = json.loads(cnncalc_output("schema"))
VALIDATOR = Draft7Validator(SCHEMA)
KINDS = sorted(kind for kind in STRATEGIES if kind not in ("add", "concat", "multiply"))

CONV = {"conv": {"out_channels": 4, "kernel_size": 3}}
IMAGE = [3, 8, 8]

ACCEPTED = {
    "a bare kind, a scalar, fields": ["relu", {"dropout": 0.1}, {"max_pool": {"kernel_size": 2}}],
    "a kind with nothing behind it": [{"relu": None}, {"flatten": {}}],
    "a block call": ["mine", {"mine": None}, {"mine": 4}, {"mine": {"width": "=2*in_channels"}}],
    "a kind from an expression": ["=unit", {"=unit": {"width": 3}, "repeat": 2}],
    "options": [{**CONV, "name": "x", "repeat": "=depth", "if": "=index", "frozen": True}],
    "inputs": [{"add": {}, "inputs": ["a", "b"]}, {"concat": None, "inputs": ["a", "b"]}],
    "one input by name": [{"relu": None, "inputs": "a"}, {**CONV, "shares": "a"}],
    "branches": [{"concat": [[], [CONV, "relu"]]}, {"add": [["relu"], []]}],
    "residuals": [{"residual": [CONV]}, {"residual": {"body": [CONV], "shortcut": None}}],
    "a group": [{"layers": ["relu"], "repeat": 3, "name": "stage"}],
    "expressions for fields": [{"conv": {"out_channels": "=c", "kernel_size": ["=k", 3]}}],
    "a word of another alphabet": ["größe", {"größe": {"width": 3}, "name": "second"}],
}

REJECTED_ITEMS = {
    "a number": 3,
    "a list": ["relu"],
    "nothing": None,
    "no kind": {"name": "x"},
    "no kind, in braces": {},
    "two kinds": {"relu": None, "tanh": None},
    "no word": "max pool",
    "a kind that needs fields, bare": "conv",
    "a join, bare": "add",
    "a residual, bare": "residual",
    "unknown field": {"conv": {**CONV["conv"], "kernal_size": 3}},
    "missing field": {"conv": {"out_channels": 4}},
    "field beside the kind": {"conv": 4, "kernel_size": 3},
    "text for a number": {"conv": {"out_channels": "4", "kernel_size": 3}},
    "true for a number": {"conv": {"out_channels": True, "kernel_size": 3}},
    "half a channel": {"conv": {"out_channels": 4.5, "kernel_size": 3}},
    "no channels": {"conv": {"out_channels": 0, "kernel_size": 3}},
    "negative padding": {"conv": {**CONV["conv"], "padding": -1}},
    "a padding that is none": {"conv": {**CONV["conv"], "padding": "full"}},
    "a number for true": {"conv": {**CONV["conv"], "bias": 1}},
    "too many sizes": {"conv": {"out_channels": 4, "kernel_size": [1, 1, 1, 1]}},
    "no sizes": {"conv": {"out_channels": 4, "kernel_size": []}},
    "probability above 1": {"dropout": 1.5},
    "a value for a layer that takes none": {"relu": 5},
    "a scalar for several required fields": {"conv": 4},
    "one branch": {"concat": [["relu"]]},
    "branches that are no lists": {"add": ["relu", "relu"]},
    "fields of a join": {"add": {"dim": 1}},
    "residual of a word": {"residual": "relu"},
    "unknown branch of a residual": {"residual": {"body": ["relu"], "skip": []}},
    "group of a word": {"layers": "relu"},
    "negative repeat": {**CONV, "repeat": -1},
    "repeat as text": {**CONV, "repeat": "3"},
    "if as text": {**CONV, "if": "yes"},
    "frozen as text": {**CONV, "frozen": "no"},
    "a name that is no identifier": {**CONV, "name": "my-conv"},
    "a numeric name": {**CONV, "name": 3},
    "a name of another alphabet": {**CONV, "name": "schicht_ä"},
    "a name that a module has": {**CONV, "name": "training"},
    "the name of the input": {**CONV, "name": "input"},
    "no inputs": {"relu": None, "inputs": []},
    "inputs that are no names": {"relu": None, "inputs": [1]},
    "shared with several": {**CONV, "shares": ["a"]},
    "unknown option": {**CONV, "repaet": 3},
}

REJECTED_FILES: dict[str, Any] = {
    "a list": [CONV],
    "empty": None,
    "no input": {"layers": ["relu"]},
    "no layers": {"input": IMAGE},
    "no layers in the list": {"input": IMAGE, "layers": []},
    "layers as a mapping": {"input": IMAGE, "layers": {"relu": None}},
    "two inputs": {"inputs": [IMAGE, IMAGE], "layers": ["relu"]},
    "unknown key": {"input": IMAGE, "layers": ["relu"], "layer": []},
    "an initialization that is none": network(IMAGE, "relu", init="kaimng"),
    "no initialization": network(IMAGE, "relu", init=None),
    "a list of initializations": network(IMAGE, "relu", init=["kaiming"]),
    "unknown field of init": network(IMAGE, "relu", init={"gain": 2}),
    "a mode that is none": network(IMAGE, "relu", init={"weights": "kaiming", "mode": "fan"}),
    "no spread": network(IMAGE, "relu", init={"weights": "trunc_normal", "std": 0}),
    "a seed below 0": network(IMAGE, "relu", init={"seed": -1}),
    "input as text": {"input": "3x8x8", "layers": ["relu"]},
    "input with no axis": {"input": [], "layers": ["relu"]},
    "input with five axes": {"input": [1, 2, 3, 4, 5], "layers": ["relu"]},
    "input of no size": {"input": [3, 0, 8], "layers": ["relu"]},
    "name as a number": {"name": 5, "input": IMAGE, "layers": ["relu"]},
    "parameters as a list": {"input": IMAGE, "layers": ["relu"], "parameters": ["a"]},
    "parameter that is no identifier": network(IMAGE, "relu", parameters={"a-b": 1}),
    "parameter with a meaning": network(IMAGE, "relu", parameters={"in_channels": 1}),
    "variants as a list": network(IMAGE, "relu", variants=["a"]),
    "variant as a number": network(IMAGE, "relu", variants={"a": 3}),
    "block without layers": network(IMAGE, "relu", blocks={"b": {}}),
    "block as a list": network(IMAGE, "relu", blocks={"b": ["relu"]}),
    "unknown key of a block": network(IMAGE, "relu", blocks={"b": {"layers": [], "x": 1}}),
    "block called as a layer": network(IMAGE, "relu", blocks={"conv": {"layers": ["relu"]}}),
    "block called as an option": network(IMAGE, "relu", blocks={"repeat": {"layers": ["relu"]}}),
    "broken item in a block": network(IMAGE, "b", blocks={"b": {"layers": [{"relu": 5}]}}),
    "broken item in a branch": network(IMAGE, {"concat": [[], [{"relu": 5}]]}),
    "training as a list": network(IMAGE, "relu", train=["fast"]),
}

RECIPES: dict[str, Any] = {
    "nothing": None,
    "no fields": {},
    "words for sections": {"data": "mnist", "optimizer": "adamw", "schedule": "cosine"},
    "a number for a section": {"augment": 4},
    "fields": {"epochs": 2.5, "batch_size": 64, "clip": None, "precision": "bfloat16"},
    "steps": {"steps": 100},
    "no steps": {"epochs": 3, "steps": None},
    "lists": {"schedule": {"name": "multistep", "at": [10, 14.5]}},
    "pairs": {"optimizer": {"name": "adam", "betas": [0.9, 0.99], "no_decay": ["stem.*"]}},
    "options": {"optimizer": {"name": "adam", "options": {"amsgrad": True, "eps": "=1/1000"}}},
    "expressions": {"epochs": "=n", "augment": "=n", "schedule": {"name": "step", "every": "=n/2"}},
    "an expression for a choice": {"schedule": {"name": "='step'", "every": 5}},
    "a warm-up of no schedule": {"schedule": {"warmup": 5}},
    "smoothing of the usual loss": {"loss": {"label_smoothing": 0.1}},
}
BROKEN_RECIPES: dict[str, Any] = {
    "text": "fast",
    "an unknown field": {"epoch": 3},
    "a field of a section": {"momentum": 0.9},
    "an unknown field of a section": {"optimizer": {"momntum": 0.9}},
    "no epochs": {"epochs": 0},
    "epochs as text": {"epochs": "3"},
    "half a step": {"steps": 2.5},
    "steps beside epochs": {"epochs": 3, "steps": 100},
    "an unknown schedule": {"schedule": "cosin"},
    "a bare schedule that needs a field": {"schedule": "step"},
    "a schedule that needs a field": {"schedule": {"name": "multistep", "factor": 0.5}},
    "a field of another schedule": {"schedule": {"name": "cosine", "every": 5}},
    "a field of no schedule": {"schedule": {"final": 0.1}},
    "a warm-up before a rise": {"schedule": {"name": "onecycle", "warmup": 1}},
    "smoothing of another loss": {"loss": {"name": "mse", "label_smoothing": 0.1}},
    "a share of 1": {"data": {"validation": 1}},
    "one of two": {"optimizer": {"name": "adam", "betas": [0.9]}},
    "no section": {"data": None},
    "a list for a section": {"augment": ["flip"]},
    "true for pixels": {"augment": True},
    "options as a list": {"optimizer": {"name": "adam", "options": ["amsgrad"]}},
    "an expression for options": {"optimizer": {"name": "adam", "options": "=n"}},
}


def errors(spec: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(spec)]


def test_schema_is_valid_draft_7_and_holds_no_later_words() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = json.dumps(SCHEMA)
    for word in ("$defs", "prefixItems", "unevaluatedProperties", "dependentRequired"):
        assert f'"{word}"' not in text


def test_every_reference_leads_somewhere_and_has_no_neighbours() -> None:
    def references(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, list):
            return [found for item in node for found in references(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if isinstance(node.get("$ref"), str) else []
        return own + [found for item in node.values() for found in references(item)]

    found = references(SCHEMA)
    assert len(found) > 100
    for reference in found:
        assert reference["$ref"].removeprefix("#/definitions/") in SCHEMA["definitions"]
        assert len(reference) == 1, "draft 7 ignores what stands beside $ref"


def test_every_layer_kind_is_described() -> None:
    for kind in STRATEGIES:
        assert len(SCHEMA["definitions"][kind]["description"]) > 8


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_file_of_ours_is_accepted(file: Path) -> None:
    assert errors(parse(read(str(file)))) == []  # editors read YAML 1.2, as cnncalc does


@pytest.mark.parametrize("what", ACCEPTED)
def test_items_of_every_form_are_accepted(what: str) -> None:
    assert errors(network(IMAGE, *ACCEPTED[what])) == []


@pytest.mark.parametrize(
    "init",
    [
        "kaiming",
        "=scheme",
        {"weights": "xavier", "distribution": "uniform", "seed": 0},
        {"weights": "trunc_normal", "std": "=spread/100", "zero_init_residual": True},
        {"seed": None},
        {},
    ],
)
def test_initializations_of_every_form_are_accepted(init: Any) -> None:
    assert errors(network(IMAGE, "relu", init=init)) == []


@pytest.mark.parametrize("what", RECIPES)
def test_recipes_of_every_form_are_accepted(what: str) -> None:
    spec = network(IMAGE, "relu", train=RECIPES[what], parameters={"n": 4})
    assert errors(spec) == []
    assert cnncalc.load(spec).recipe().batch_size in (64, 128)


@pytest.mark.parametrize("what", BROKEN_RECIPES)
def test_broken_recipes_are_rejected_by_schema_and_by_cnncalc(what: str) -> None:
    spec = network(IMAGE, "relu", train=BROKEN_RECIPES[what], parameters={"n": 4})
    assert errors(spec)
    with pytest.raises(cnncalc.SpecError):
        cnncalc.load(spec).recipe()


def test_every_field_of_a_recipe_is_described() -> None:
    recipe = SCHEMA["properties"]["train"]["anyOf"][0]["properties"]
    assert recipe.keys() == Recipe.model_fields.keys()
    for name, cls in SECTIONS.items():
        assert recipe[name]["anyOf"][0]["properties"].keys() == cls.model_fields.keys()
        for field, shown in recipe[name]["anyOf"][0]["properties"].items():
            assert shown["description"] == cls.model_fields[field].description
            assert "default" in shown
    assert all(field["description"] for field in recipe.values())


@pytest.mark.parametrize("what", REJECTED_ITEMS)
def test_broken_items_are_rejected_by_schema_and_by_cnncalc(what: str) -> None:
    item = REJECTED_ITEMS[what]
    for spec in (network(IMAGE, CONV, item), network(IMAGE, CONV, {"layers": [item]})):
        assert errors(spec)
        with pytest.raises(cnncalc.SpecError):
            cnncalc.analyze(spec)


@pytest.mark.parametrize("what", REJECTED_FILES)
def test_broken_files_are_rejected_by_schema_and_by_cnncalc(what: str, tmp_path: Path) -> None:
    spec = REJECTED_FILES[what]
    assert errors(spec)
    file = tmp_path / "broken.yaml"
    file.write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(cnncalc.SpecError):
        cnncalc.analyze(file)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_takes_an_expression_and_no_other_text(kind: str) -> None:
    fields = next(
        choice["properties"]
        for choice in SCHEMA["definitions"][kind]["anyOf"]
        if choice.get("type") == "object"
    )
    everything = dict.fromkeys(fields, "=x")
    assert errors(network(IMAGE, {kind: everything})) == []
    for name in fields:
        assert errors(network(IMAGE, {kind: {**everything, name: "no such thing"}}))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(20))
@given(st.data())
def test_schema_and_cnncalc_agree_about_fields(kind: str, data: st.DataObject) -> None:
    case: Case = data.draw(STRATEGIES[kind])
    spec = network([*case.shapes[0]], {kind: case.fields})
    try:
        cnncalc.analyze(spec)
    except ShapeError:
        fits = True  # the fields are right; they do not suit the input
    except FieldError:
        fits = False
    else:
        fits = True
    assert (not errors(spec)) == fits
