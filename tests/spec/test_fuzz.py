"""Mutated specs: an error of cnncalc's, or a table; never anything else.

Valid files are edited by character, line and token, and specs are grown from random structures
of the format's own words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import examples, unsafe
from support.strategies import STRATEGIES, choice

import cnncalc
from cnncalc.errors import CnncalcError, OutputError
from cnncalc.layers import registry
from cnncalc.render import FORMATS, render
from cnncalc.spec import bundled
from cnncalc.spec.text import Source
from cnncalc.spec.train_section import SECTIONS, Recipe
from cnncalc.spec.yaml import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

FIXTURES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(250)
)
TEXTS = [file.read_text(encoding="utf-8") for file in bundled.files()]
NASTY = [
    *("0", "-1", "1.5", "1e3", "1e400", ".nan", "-.inf", "9" * 20, "9" * 61, "0x10", "2147483648"),
    *("true", "null", "~", "''", '"10"', "no", "22:30", "[]", "{}", "[1, 2]", "[[1], {a: b}]"),
    *("=", "=in_channels", "=in_size", "=index", "=1/0", "=9**9**9", '"=in_size[0]"', "=in_size[0"),
    *("=max(1, 2)", "=__import__('os')", "=lambda: 0", "=(1", "='relu'", "=[1]*300", "=0.5", "=x"),
    *("*a", "&a x", "<<", "!!int 1", "---", "...", "%YAML 1.1", "# ", "- ", ": ", "? ", "| ", ","),
    *("input", "inputs", "layers", "residual", "add", "concat", "multiply", "repeat", "if", "name"),
    *("shares", "frozen", "body", "shortcut", "relu", "conv", "linear", "flatten", "same", "valid"),
    *("1" * 300, "é", "\t", "\x00", "\ufeff", "\u2028", "\r", "\\", "日本", "_x", "a.b", "group1"),
]
WORDS = st.sampled_from([*NASTY, *registry()])


@st.composite
def mutated(draw: DrawFn) -> str:
    """A bundled file after a few edits."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        edit: Callable[[DrawFn, str], str] = draw(st.sampled_from(EDITS))
        text = edit(draw, text)
    return text


def change_characters(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    removed = draw(st.integers(0, 5))
    added = draw(st.one_of(st.text(" \n-:{}[],='\"#&*!|>%@0123456789abc\t", max_size=5), WORDS))
    return text[:at] + added + text[at + removed :]


def change_lines(draw: DrawFn, text: str) -> str:
    lines = text.split("\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(["remove", "repeat", "swap", "indent", "outdent"]))
    if how == "remove":
        del lines[one]
    elif how == "repeat":
        lines.insert(other, lines[one])
    elif how == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = f"  {lines[one]}" if how == "indent" else lines[one].removeprefix("  ")
    return "\n".join(lines)


def change_token(draw: DrawFn, text: str) -> str:
    """A word, a number or an expression becomes something else."""
    tokens = [
        (at, token)
        for token in {*text.replace(",", " ").replace("}", " ").replace("]", " ").split()}
        for at in [text.find(token)]
    ]
    if not tokens:
        return text
    at, token = draw(st.sampled_from(sorted(tokens)))
    return text[:at] + draw(WORDS) + text[at + len(token) :]


def as_data(text: str) -> Any:
    """The data of a text, or of none that is YAML."""
    try:
        return parse(Source("spec.yaml", text))
    except CnncalcError:
        return None


EDITS = [change_characters, change_lines, change_token, change_token]


def check(make: Callable[[], cnncalc.Summary]) -> None:
    """An error of cnncalc's with a message of few lines, or a table that every format writes."""
    try:
        summary = make()
        if len(summary.layers) <= 200:
            for name in FORMATS:
                render(summary, name, formulas=True)
    except CnncalcError as error:
        lines = str(error).split("\n")
        well_formed = 1 <= len(lines) <= 3 and not any(map(unsafe, lines))
        if not well_formed or isinstance(error, OutputError):
            pytest.fail(f"no message: {error}")


@FIXTURES
@given(mutated())
@example("input: [1, 4, 4]\nlayers: [{upsample: 1e308}]")
@example("input: [1, 4, 4]\nlayers: [{upsample: .inf}]")
@example("input: [1, 4, 4]\nlayers: [{leaky_relu: 1e400}]")
@example("input: [3, 9]\nlayers: [{residual: {body: 0}}]")
def test_mutated_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    check(lambda: cnncalc.analyze(cnncalc.load(file)))


SCALARS: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.sampled_from([10**20, 10**61, 2**31, 0.5, float("nan"), float("inf"), 1e300, 5e-324]),
    st.sampled_from(["relu", "conv", "conv1", "input", "same", "valid", "reflect", "linear", ""]),
    st.sampled_from([word for word in NASTY if word.startswith("=")]),
    st.text(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


FRIENDLY = st.one_of(
    st.sampled_from(["relu", "batch_norm", "identity", {"dropout": 0.1}, {"tanh": None}]),
    st.builds(
        lambda out, kernel: {
            "conv": {"out_channels": out, "kernel_size": kernel, "padding": "same"}
        },
        st.sampled_from([2, 4, "=in_channels", "=width", "=index + 1"]),
        st.integers(1, 3),
    ),
)
"""Items that fit anywhere, so that what stands around them is reached."""
STRANGE = st.sampled_from(sorted(STRATEGIES)).flatmap(
    lambda kind: st.tuples(STRATEGIES[kind], st.dictionaries(st.just("typo") | WORDS, VALUES)).map(
        lambda drawn: {kind: {**drawn[0].fields, **dict([*drawn[1].items()][:1])}}
    )
)
LAYERS = st.integers(0, 9).flatmap(
    lambda n: (
        FRIENDLY
        if n < 7
        else st.sampled_from(sorted(STRATEGIES))
        .flatmap(STRATEGIES.__getitem__)
        .map(lambda case: {case.kind: case.fields})
        if n < 9
        else choice(STRANGE, VALUES)
    )
)


def items(inner: Any) -> Any:
    """Items around items: groups, joins, residuals, block calls, and what stands beside them."""
    lists = st.lists(inner, min_size=1, max_size=3)
    joins = st.sampled_from(["add", "concat", "multiply"])
    nested = st.one_of(
        st.fixed_dictionaries({"layers": choice(lists, VALUES)}),
        st.fixed_dictionaries({"residual": choice(lists, VALUES)}),
        st.fixed_dictionaries({"residual": st.fixed_dictionaries({"body": choice(lists, VALUES)})}),
        st.fixed_dictionaries({"block": choice(st.just({"size": 2}), VALUES)}),
        st.builds(lambda join, branches: {join: branches}, joins, st.lists(lists, min_size=2)),
        st.builds(
            lambda join, names: {join: {}, "inputs": names},
            joins,
            choice(st.lists(st.sampled_from(["input", "relu1", "a", "conv1"]), min_size=2), VALUES),
        ),
    )
    beside = st.fixed_dictionaries(
        {},
        optional={
            "name": choice(st.sampled_from(["a", "b", "c", "d"]), VALUES),
            "repeat": choice(st.integers(0, 3), VALUES),
            "if": choice(st.sampled_from([True, False, "=index > 0", "=in_channels > 2"]), VALUES),
            "frozen": choice(st.booleans(), VALUES),
        },
    )
    rare = st.fixed_dictionaries({"shares": choice(st.sampled_from(["conv1", "a"]), VALUES)})
    dressed = st.builds(
        lambda item, keys: {**(item if isinstance(item, dict) else {"relu": None}), **keys},
        st.one_of(inner, nested),
        choice(beside, rare),
    )
    return st.one_of(nested, dressed)


ITEMS = st.lists(st.recursive(LAYERS, items, max_leaves=8), min_size=1, max_size=4)
BLOCK = st.fixed_dictionaries(
    {"parameters": choice(st.just({"size": 1}), VALUES), "layers": choice(ITEMS, VALUES)}
)
SPECS = st.fixed_dictionaries(
    {
        "input": choice(st.sampled_from([[3, 8, 8], [4, 9], [2, 4, 4, 4], [6]]), VALUES),
        "parameters": choice(st.just({"width": 4}), VALUES),
        "blocks": st.fixed_dictionaries({"block": choice(BLOCK, VALUES)}),
        "layers": choice(ITEMS, VALUES),
    },
    optional={key: choice(st.just({}), VALUES) for key in ("variants", "train")},
)
WILD_SPECS = st.one_of(
    VALUES,
    st.dictionaries(
        st.sampled_from(
            ["input", "layers", "name", "source", "parameters", "blocks", "variants", "train", "x"]
        ),
        st.one_of(VALUES, st.dictionaries(st.text(max_size=5), VALUES, max_size=3)),
    ),
)


@FIXTURES
@given(st.one_of(SPECS, SPECS, SPECS, WILD_SPECS))
def test_random_data(spec: Any) -> None:
    check(lambda: cnncalc.analyze(cnncalc.load(spec)))


@FIXTURES
@given(st.one_of(SPECS, WILD_SPECS))
def test_random_files(tmp_path: Path, spec: Any) -> None:
    """JSON is YAML, but for its NaN and Infinity, which are text there."""
    file = tmp_path / "spec.yaml"
    file.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    check(lambda: cnncalc.analyze(cnncalc.load(file)))


@FIXTURES
@given(st.text(max_size=20), VALUES, st.sampled_from(["lenet", "resnet", "alexnet"]))
def test_random_settings(text: str, value: Any, name: str) -> None:
    """What `--input`, `--variant`, `--set`, `--dtype` and SPEC hand over."""
    check(lambda: cnncalc.analyze(cnncalc.load(name, input=text)))
    check(lambda: cnncalc.analyze(cnncalc.load(name, variant=text)))
    check(lambda: cnncalc.analyze(cnncalc.load(name, parameters={"classes": value, text: value})))
    check(lambda: cnncalc.analyze(cnncalc.load(name, parameters={"classes": value})))
    check(lambda: cnncalc.analyze(cnncalc.load(name), dtype=text))


RECIPE_VALUES = choice(
    st.one_of(
        st.sampled_from([0, 1, 0.5, 3, True, None, "sgd", "step", "cosine", "mse", "=n", "=n/2"]),
        st.lists(st.sampled_from([0.5, 2, "=n"]), max_size=3),
    ),
    VALUES,
)
FIELDS = {
    name: st.one_of(
        RECIPE_VALUES,
        st.dictionaries(st.sampled_from([*cls.model_fields]), RECIPE_VALUES, max_size=3),
    )
    for name, cls in SECTIONS.items()
}
RECIPES = st.fixed_dictionaries(
    {}, optional={name: FIELDS.get(name, RECIPE_VALUES) for name in Recipe.model_fields}
)
PATHS = st.sampled_from(
    [*Recipe.model_fields, *(f"{s}.{f}" for s, cls in SECTIONS.items() for f in cls.model_fields)]
)


@FIXTURES
@given(
    choice(RECIPES, VALUES),
    st.dictionaries(st.one_of(PATHS, st.text(max_size=9)), RECIPE_VALUES, max_size=2),
)
def test_random_recipes(recipe: Any, on_top: dict[str, Any]) -> None:
    spec = {"input": [4], "layers": ["relu"], "parameters": {"n": 2}, "train": recipe}

    def table() -> cnncalc.Summary:
        network = cnncalc.load(spec)
        assert network.recipe(on_top).batch_size > 0
        return cnncalc.analyze(network)

    check(table)


@pytest.mark.parametrize("name", ["a\0b", "/a\0b", "x" * 5_000, f"/{'x' * 5_000}", "\ud800", ""])
def test_names_of_files(name: str) -> None:
    with pytest.raises(CnncalcError):
        cnncalc.load(name)


@pytest.mark.exhaustive
@pytest.mark.drawn
@pytest.mark.parametrize("texts", [mutated().map(as_data), SPECS], ids=["edits", "random"])
def test_the_fuzz_is_worth_its_time(texts: Any) -> None:
    """Tables and errors are both common, and the errors are not all of one kind."""
    outcomes = []

    @settings(FIXTURES, max_examples=examples(300))
    @given(texts)
    def sample(data: Any) -> None:
        try:
            outcomes.append(type(cnncalc.analyze(cnncalc.load(data))))
        except CnncalcError as error:
            outcomes.append(type(error))

    sample()
    assert 0.1 < outcomes.count(cnncalc.Summary) / len(outcomes) < 0.9
    assert len({*outcomes}) >= 3
