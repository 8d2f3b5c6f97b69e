"""YAML as a spec has it: the core schema of YAML 1.2, places, and bounds.

Every test of a text runs with libyaml and with PyYAML's own parser.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cnncalc.errors import LimitError, Place, SpecError, SyntaxSpecError, UsageError
from cnncalc.spec import text as source
from cnncalc.spec import yaml as parsing
from cnncalc.spec.text import Mapping, Sequence, Source, place_of, read
from cnncalc.spec.yaml import parse, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOADERS = [pytest.param(yaml.SafeLoader, id="pyyaml")]
if hasattr(yaml, "CSafeLoader"):
    LOADERS.append(pytest.param(yaml.CSafeLoader, id="libyaml"))

# YAML 1.2.2, section 10.3.2, "Tag Resolution" of the core schema, in its order.
CORE_SCHEMA = [
    (r"null | Null | NULL | ~", "null"),
    (r"", "null"),
    (r"true | True | TRUE | false | False | FALSE", "bool"),
    (r"[-+]? [0-9]+", "int"),
    (r"0o [0-7]+", "int 8"),
    (r"0x [0-9a-fA-F]+", "int 16"),
    (r"[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?", "float"),
    (r"[-+]? ( \.inf | \.Inf | \.INF )", "float"),
    (r"\.nan | \.NaN | \.NAN", "float"),
]


@pytest.fixture(autouse=True, params=LOADERS)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_LOADER", request.param)


def data(text: str) -> Any:
    return parse(Source("spec.yaml", text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Example 10.3 and what YAML 1.1 read otherwise.
        ("A null: null", {"A null": None}),
        ("Booleans: [ true, True, false, FALSE ]", {"Booleans": [True, True, False, False]}),
        ("Integers: [ 0, 0o7, 0x3A, -19 ]", {"Integers": [0, 7, 58, -19]}),
        ("Floats: [ 0., -0.0, .5, +12e03, -2E+05 ]", {"Floats": [0.0, -0.0, 0.5, 12e3, -2e5]}),
        ("Also floats: [ .inf, -.Inf, +.INF ]", {"Also floats": [math.inf, -math.inf, math.inf]}),
        ("[yes, no, on, off, y, n]", ["yes", "no", "on", "off", "y", "n"]),
        ("[22:30, 1:30:00, 2001-12-14]", ["22:30", "1:30:00", "2001-12-14"]),
        ("[1e-3, 1e3, 1E3, 1.e3]", [0.001, 1000.0, 1000.0, 1000.0]),
        ("[1_000, 0b1, 0777, 07]", ["1_000", "0b1", 777, 7]),
        ("[-0x1, +0o7, 0o8, 0xg, 0X1]", ["-0x1", "+0o7", "0o8", "0xg", "0X1"]),
        ("[., .e1, e1, 1e, +, -1-, +-1]", [".", ".e1", "e1", "1e", "+", "-1-", "+-1"]),
        ("[nUll, TruE, .nAN, +.nan, ~~]", ["nUll", "TruE", ".nAN", "+.nan", "~~"]),
        ("['1', \"true\", '', \"~\"]", ["1", "true", "", "~"]),
        ("[=4*width, =a]", ["=4*width", "=a"]),
        ("a:\nb: ~", {"a": None, "b": None}),
        ("- |\n  1\n- >\n  2", ["1\n", "2"]),
        ("{1: a, true: b, ~: c, 1.5: d}", {"1": "a", "true": "b", "~": "c", "1.5": "d"}),
        ("{a, b: 1}", {"a": None, "b": 1}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("&k key: 1\nb: *k", {"key": 1, "b": "key"}),
        ("", None),
        ("# nothing", None),
        ("---\n1\n...\n", 1),
        ("%YAML 1.2\n---\n1", 1),
    ],
)
def test_value(text: str, value: object) -> None:
    assert repr(data(text)) == repr(value)


def by_the_specification(text: str) -> str:
    for pattern, tag in CORE_SCHEMA:
        if re.fullmatch(pattern, text, re.VERBOSE):
            return tag
    return "str"


SCALARS = st.one_of(
    st.text("+-.0123456789eExXoOabcdfinN_~:", max_size=8),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["null", "true", "false", ".inf", ".nan", "on", "no"]).flatmap(
        lambda word: st.sampled_from([word, word.title(), word.upper(), f"+{word}", f"-{word}"])
    ),
)


@given(SCALARS)
@example("")
def test_scalars_are_resolved_by_the_specification(text: str) -> None:
    value = resolve(text)
    tag = by_the_specification(text)
    if tag == "str":
        assert value == text
    elif tag == "null":
        assert value is None
    elif tag == "bool":
        assert value is (text.lower() == "true")
    elif tag.startswith("int"):
        digits = text[2:] if " " in tag else text
        assert type(value) is int
        assert value == int(digits, int(tag[4:] or 10))
    else:
        assert type(value) is float
        written = text.lower().replace(".inf", "inf").replace(".nan", "nan")
        assert repr(value) == repr(float(written))


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**9), 10**9),
        st.text("abc =*[]{},:#'\"\\é日\n", max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abcdef_", min_size=1, max_size=6), inner, max_size=4),
    ),
    max_leaves=20,
)
WRITTEN = st.tuples(PLAIN, st.sampled_from([True, False, None]), st.integers(2, 6)).map(
    lambda x: yaml.safe_dump(
        x[0], default_flow_style=x[1], indent=x[2], allow_unicode=True, sort_keys=False
    )
)
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@FIXTURES
@given(WRITTEN)
def test_data_are_what_was_written(text: str) -> None:
    assert data(text) == yaml.safe_load(text)


def marks(node: yaml.Node | None) -> Iterator[tuple[int, int]]:
    """Line and column of every key and value, as PyYAML's own composer has them."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.start_mark.line, key.start_mark.column
            yield value.start_mark.line, value.start_mark.column
            yield from marks(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield item.start_mark.line, item.start_mark.column
            yield from marks(item)


def places(container: object) -> Iterator[Place]:
    """The place of every key and value, as a message would give it."""
    if isinstance(container, Mapping):
        for key, value in container.items():
            for of_key in (True, False):
                place = place_of(container, key, of_key=of_key)
                assert place is not None
                yield place
            yield from places(value)
    elif isinstance(container, Sequence):
        for index, value in enumerate(container):
            place = place_of(container, index)
            assert place is not None
            yield place
            yield from places(value)


@FIXTURES
@given(WRITTEN)
def test_every_key_and_value_knows_its_place(text: str) -> None:
    found = [*places(data(text))]
    assert [(place.line - 1, place.column - 1) for place in found] == [
        *marks(yaml.compose(text, Loader=parsing._LOADER))
    ]
    lines = text.split("\n")
    assert all(place.text == lines[place.line - 1] for place in found)


def test_places() -> None:
    spec = data("input: [1, 28]\nlayers:\n  - conv: {bias: no}\n  - relu\n")
    assert place_of(spec, "layers", of_key=True) == Place("spec.yaml", 2, 1, "layers:")
    assert str(place_of(spec["input"], 1)) == "spec.yaml:1:12"
    assert str(place_of(spec["layers"][0]["conv"], "bias")) == "spec.yaml:3:18"
    assert str(place_of(spec["layers"][0]["conv"], "kernel_size")) == "spec.yaml:3:11"
    assert str(place_of(spec["layers"], 1)) == "spec.yaml:4:5"
    assert str(place_of(spec["layers"])) == "spec.yaml:3:3"
    assert place_of({"plain": 1}, "plain") is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028"])
def test_lines_are_counted_as_yaml_counts_them(end: str) -> None:
    place = place_of(data(f"a: 1{end}bc: [2,{end}  3]{end}")["bc"], 1)
    assert place is not None
    assert (place.line, place.column, place.text) == (3, 3, "  3]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 301, "1:301: is nested over 300 deep"),
        ("a: 1\na: 2", "2:1: the key 'a' for the second time"),
        ("{a: 1, 'a': 2}", "1:8: the key 'a' for the second time"),
        ("a: {<<: {b: 1}}", "1:5: merge keys"),
        ("[*a]", "1:2: the alias *a has no anchor above it"),
        ("&a [*a]", "1:5: the alias *a stands inside its own anchor"),
        ("a: !!set {b}", "1:4: the tag '!!set'"),
        ("- !secret 1", "1:3: the tag '!secret'"),
        ("! 12", "1:1: the tag '!'"),
        ("--- 1\n--- 2", "2:1: a second document"),
        (f"a: {'1' * 61}", "1:4: a number of over 60 digits"),
        (f"a: 0.{'1' * 61}", "1:4: a number of over 60 digits"),
        ("? {a: 1}\n: 1", "1:3: a key must be a plain word"),
        ("*a : 1", "1:1: a key must be a plain word"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        data(text)
    assert str(raised.value).startswith(f"spec.yaml:{message}")


def test_what_is_just_allowed() -> None:
    assert data(f"{'[' * 300}{']' * 300}") != []
    assert data("1" * 60) == int("1" * 60)
    assert data("a" * 5_000) == "a" * 5_000
    assert data("'<<': 1") == {"<<": 1}
    assert data("{'!': '&a *a'}") == {"!": "&a *a"}


def test_an_alias_counts_for_all_that_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MAX_VALUES", 20)
    ten = "[x, x, x, x, x, x, x, x, x]"
    assert data(ten) == ["x"] * 9
    with pytest.raises(LimitError, match="over 20 values"):
        data(f"- &a {ten}\n- *a")


def test_a_file_of_just_the_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 2**20)
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"#" * 2**20)
    assert read(str(file)).text == "#" * 2**20
    file.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UsageError, match="is larger than 1 MiB"):
        read(str(file))


@given(st.text(max_size=200))
@FIXTURES
def test_any_text_is_data_or_one_error(text: str) -> None:
    line: int | None = 1
    try:
        data(text)
    except SpecError as error:
        line = error.line
    assert line is not None
    assert 1 <= line <= len(text.splitlines()) + 1


@given(st.binary(max_size=200))
@FIXTURES
@example(b"\xff\xfe")
@example(b"\xff\xfea\xd8")
@example(b"\xef\xbb\xbf")
def test_any_bytes_are_text_or_one_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(content)
    try:
        text = read(str(file)).text
    except SyntaxSpecError:
        text = ""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    assert text in ("", content.decode(encoding, errors="replace"))
