"""One message, whichever libyaml reads the file: 0.1 to 0.2.5, later ones, or PyYAML's own parser.

Each wording of each complaint is handed over by a stand-in for the loader; then the loaders of this
machine read the same text.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import by_tier

from cnncalc.errors import SpecError
from cnncalc.spec import yaml as parsing
from cnncalc.spec.text import Source
from cnncalc.spec.yaml import MAX_DEPTH, parse

LOADERS = [pytest.param(yaml.SafeLoader, id="pyyaml")]
if hasattr(yaml, "CSafeLoader"):
    LOADERS.append(pytest.param(yaml.CSafeLoader, id="libyaml"))


class Complaint(NamedTuple):
    """A text, the message that it must give, and each wording with which a version refuses it.

    In the text ‹ is where the thing begins that could not be read (the context mark) and › where
    the parser gave up (the problem mark). A wording is "context: problem".
    """

    text: str
    message: str
    wordings: list[str]
    everywhere: bool = True
    """Every loader of today refuses it as well."""

    def marks(self) -> tuple[str, yaml.Mark | None, yaml.Mark]:
        text = self.text.replace("‹", "").replace("›", "")
        begun = self.text.replace("›", "").find("‹")
        return text, _mark(text, begun), _mark(text, self.text.replace("‹", "").index("›"))


def _mark(text: str, index: int) -> Any:
    before = text[:index]
    line = before.count("\n")
    column = index - before.rfind("\n") - 1
    return None if index < 0 else yaml.Mark("<unicode string>", index, line, column, None, None)


SPACES = "; indent with spaces, not tabs"
QUOTES = "; put it in quotes"
DIRECTIVE = "a directive that cannot stand here; remove this line: a spec needs none"
TAG = ": a spec has no tags; put text in quotes"
ESCAPE = "\\ begins an escape in double quotes; use single quotes, or write \\\\"
OPEN = "the quote is not closed; end the text with the quote it begins with"
MISPLACED = "does not belong here; is a quote or a bracket closed too early?"
INDENTATION = (
    "the indentation does not match the lines above; "
    "what belongs together begins in the same column"
)
TOKEN = "while scanning for the next token: found character"
SCALAR = "while scanning a block scalar"
KEY = "while scanning a simple key"
VERSION = "while scanning a %YAML directive"
PLAIN_TAG = ["while scanning a tag", "while parsing a tag"]

COMPLAINTS = [
    # The scanner: what may not begin where it stands.
    Complaint(
        "a:\n‹›\t- b\n",
        "2:1: a tab where spaces should stand" + SPACES,
        [f"{TOKEN} that cannot start any token", f"{TOKEN} '\\t' that cannot start any token"],
    ),
    Complaint(
        "a: ‹›@b\n",
        "1:4: no text may begin with @" + QUOTES,
        [f"{TOKEN} that cannot start any token", f"{TOKEN} '@' that cannot start any token"],
    ),
    Complaint(
        "a:\n  ‹b\n›\tc\n",
        "3:1: a tab where spaces should stand" + SPACES,
        [
            "while scanning a plain scalar: found a tab character that violate intendation",
            "while scanning a plain scalar: found a tab character that violates intendation",
            "while scanning a plain scalar: found a tab character that violates indentation",
        ],
    ),
    Complaint(
        "a: ‹|\n›\tb\n",
        "2:1: a tab where spaces should stand" + SPACES,
        [
            f"{SCALAR}: found a tab character where an intendation space is expected",
            f"{SCALAR}: found a tab character where an indentation space is expected",
        ],
    ),
    Complaint(
        "a: ‹>›0\n  b\n",
        "1:4: no text may begin with >" + QUOTES,
        [
            f"{SCALAR}: found an intendation indicator equal to 0",
            f"{SCALAR}: found an indentation indicator equal to 0",
            f"{SCALAR}: expected indentation indicator in the range 1-9, but found 0",
        ],
    ),
    Complaint(
        "a: ‹>›x\n  b\n",
        "1:4: no text may begin with >" + QUOTES,
        [
            f"{SCALAR}: did not found expected comment or line break",
            f"{SCALAR}: did not find expected comment or line break",
            f"{SCALAR}: expected chomping or indentation indicators, but found 'x'",
            f"{SCALAR}: expected a comment or a line break, but found 'x'",
        ],
    ),
    *(
        Complaint(
            f"a: ‹{char}›.jpg\n",
            f"1:4: no text may begin with {char}{QUOTES}",
            [
                f"while scanning an {name}: did not find expected alphabetic or numeric character",
                f"while scanning an {name}: "
                "expected alphabetic or numeric character, but found '.'",
            ],
        )
        for char, name in (("*", "alias"), ("&", "anchor"))
    ),
    Complaint(
        "layers: ›- relu\n",
        "1:9: a list does not begin on the line of its key; "
        "write each - on a line of its own, or [a, b]",
        [
            ": block sequence entries are not allowed in this context",
            ": sequence entries are not allowed here",
        ],
    ),
    Complaint(
        "- 'a' ›- b\n",
        f"1:7: {MISPLACED}",
        [
            ": block sequence entries are not allowed in this context",
            ": sequence entries are not allowed here",
        ],
    ),
    Complaint(
        "a: ›? b\n",
        "1:4: no text may begin with ?" + QUOTES,
        [
            ": mapping keys are not allowed in this context",
            ": mapping keys are not allowed here",
        ],
    ),
    Complaint(
        "a: b›: c\n",
        '1:5: a second ": " in one value; put text that holds a colon in quotes',
        [
            ": mapping values are not allowed in this context",
            ": mapping values are not allowed here",
        ],
    ),
    Complaint(
        "a: 1\n  b›: 2\n",
        f"2:3: {INDENTATION}",
        [": mapping values are not allowed in this context"],
    ),
    Complaint(
        "a: b\n \tc›: d\n",
        "2:2: a tab where spaces should stand" + SPACES,
        [": mapping values are not allowed in this context"],
    ),
    Complaint(
        "{‹a›:{b}}\n",
        "1:3: a colon needs a space after it; write `key: value`",
        ["while scanning a plain scalar: found unexpected ':'"],
        everywhere=False,
    ),
    Complaint(
        "a: 1\n‹b\n›c: 2\n",
        "2:1: is neither `key: value` nor `- item`; is a - or a colon missing?",
        [
            f"{KEY}: could not found expected ':'",
            f"{KEY}: could not find expected ':'",
        ],
    ),
    # Quotes.
    *(
        Complaint(
            f'a: ‹"b\n›{end}',
            f"1:4: {OPEN}",
            [f"while scanning a quoted scalar: found unexpected {found}" for found in words],
        )
        for end, words in (
            ("", ["end of stream"]),
            ("--- c\n", ["document indicator", "document separator"]),
        )
    ),
    Complaint(
        'a: ‹"C:›\\data"\n',
        f"1:7: {ESCAPE}",
        ["while parsing a quoted scalar: found unknown escape character"],
    ),
    Complaint(
        'a: ‹"C:\\›data"\n',
        f"1:7: {ESCAPE}",
        ["while scanning a double-quoted scalar: found unknown escape character 'd'"],
    ),
    Complaint(
        'a: ‹"\\x›4"\n',
        f"1:5: {ESCAPE}",
        [
            "while parsing a quoted scalar: did not find expected hexdecimal number",
            "while scanning a double-quoted scalar: "
            "expected escape sequence of 2 hexadecimal numbers, but found '\"'",
        ],
    ),
    *(
        Complaint(
            f'a: ‹"\\{code[0]}›{code[1:]}"\n',
            f"1:5: {ESCAPE}",
            ["while parsing a quoted scalar: found invalid Unicode character escape code"],
        )
        for code in ("ud800", "U0000DFFF", "U00110000", "Uffffffff")
    ),
    # Directives.
    *(
        Complaint(
            f"‹%{name}›{rest}\n---\n1\n",
            f"1:1: {DIRECTIVE}",
            [f"while scanning a {kind}directive: {problem}" for kind in kinds for problem in words],
        )
        for name, rest, kinds, words in (
            ("", "", [""], ["could not found expected directive name"]),
            ("", "", [""], ["could not find expected directive name"]),
            ("F", "#OO b", [""], ["found unexpected non-alphabetical character"]),
            ("FOO", " b", [""], ["found uknown directive name", "found unknown directive name"]),
            ("YAML", "", ["%YAML ", ""], ["did not find expected version number"]),
            ("YAML", "", [""], ["expected a digit, but found '\\n'"]),
            ("YAML 1", "", ["%YAML "], ["did not find expected digit or '.' character"]),
            ("YAML 1", "", [""], ["expected a digit or '.', but found '\\n'"]),
            ("YAML 1.2", "3x", [""], ["expected a digit or ' ', but found 'x'"]),
            ("YAML 1", "2345678901.1", ["%YAML "], ["found extremely long version number"]),
            ("YAML 1.2 ", "b", [""], ["did not found expected comment or line break"]),
            ("YAML 1.2 ", "b", [""], ["did not find expected comment or line break"]),
            ("YAML 1.2 ", "b", [""], ["expected a comment or a line break, but found 'b'"]),
            ("TAG !a!", "", ["%TAG ", "tag "], ["did not find expected whitespace"]),
            ("TAG !a! b", "{", ["%TAG "], ["did not find expected whitespace or line break"]),
            ("TAG !a", " b", ["tag ", ""], ["did not find expected '!'"]),
            ("TAG !a", " b", [""], ["expected '!', but found ' '"]),
        )
    ),
    *(
        Complaint(
            f"‹%TAG !a! ›{rest}\n---\n1\n",
            f"1:1: {DIRECTIVE}",
            [f"while parsing a {kind}: {problem}" for kind in kinds for problem in words],
        )
        for rest, kinds, words in (
            ("", ["%TAG directive"], ["did not find expected tag URI"]),
            ("", ["directive"], ["expected URI, but found '\\n'"]),
            ("%zz", ["%TAG directive"], ["did not find URI escaped octet"]),
            ("%ff", ["%TAG directive"], ["found an incorrect leading UTF-8 octet"]),
            ("%c3%28", ["%TAG directive"], ["found an incorrect trailing UTF-8 octet"]),
        )
    ),
    Complaint(
        "›%YAML 3.0\n---\n1\n",
        f"1:1: {DIRECTIVE}",
        [
            ": found incompatible YAML document",
            ": found incompatible YAML document (version 1.* is required)",
        ],
    ),
    Complaint(
        "%YAML 1.1\n›%YAML 1.1\n---\n1\n",
        f"2:1: {DIRECTIVE}",
        [": found duplicate %YAML directive", ": found duplicate YAML directive"],
    ),
    Complaint(
        "%TAG !a! b\n›%TAG !a! c\n---\n1\n",
        f"2:1: {DIRECTIVE}",
        [
            ": duplicate %TAG directive",
            ": found duplicate %TAG directive",
            ": duplicate tag handle '!a!'",
        ],
    ),
    Complaint(
        "%YAML 1.1\n›a: 1\n",
        f"1:1: {DIRECTIVE}",
        [
            ": did not found expected <document start>",
            ": did not find expected <document start>",
            ": expected '<document start>', but found '<scalar>'",
        ],
    ),
    # Tags.
    *(
        Complaint(
            f"a: ‹!{begin}›{rest}\n",
            f"1:4: the tag '!{begin}{rest}'{TAG}",
            [f"{doing}: {problem}" for doing in PLAIN_TAG for problem in words],
        )
        for begin, rest, words in (
            ("<x", "", ["did not find the expected '>'", "expected '>', but found '\\n'"]),
            ("<", ">", ["did not find expected tag URI", "expected URI, but found '>'"]),
            ("<x>", "y", ["did not find expected whitespace or line break"]),
            ("a", "{b}", ["did not found expected whitespace or line break"]),
            ("a", "{b}", ["expected ' ', but found '{'"]),
            ("a", "%zz", ["did not find URI escaped octet"]),
            ("a%", "zz", ["expected URI escape sequence of 2 hexadecimal numbers, but found 'z'"]),
            ("a", "%ff", ["found an incorrect leading UTF-8 octet"]),
            ("a%c3", "%28", ["found an incorrect trailing UTF-8 octet"]),
            ("a", "%ff", ["'utf-8' codec can't decode byte 0xff in position 0"]),
        )
    ),
    Complaint(
        "a: ‹›!e!x 1\n",
        f"1:4: the tag '!e!x'{TAG}",
        [
            "while parsing a node: found undefined tag handle",
            "while parsing a node: found undefined tag handle '!e!'",
        ],
    ),
    Complaint(
        "a: ‹&b ›!e!x 1\n",
        f"1:7: the tag '!e!x'{TAG}",
        ["while parsing a node: found undefined tag handle"],
    ),
    # The parser.
    Complaint(
        "a: 1\n...\n›b\n",
        "3:1: text after the end of the document; a file holds one network",
        [
            ": did not found expected <document start>",
            ": did not find expected <document start>",
            ": expected '<document start>', but found '<scalar>'",
        ],
    ),
    Complaint(
        "‹a: 'b' ›c\n",
        f"1:8: {MISPLACED}",
        [
            "while parsing a block mapping: did not find expected key",
            "while parsing a block mapping: expected <block end>, but found '<scalar>'",
        ],
    ),
    Complaint(
        "‹- a\n›b: 1\n",
        "2:1: an item of this list begins with -; write - before it, or indent it more",
        [
            "while parsing a block collection: did not find expected '-' indicator",
            "while parsing a block collection: expected <block end>, but found '?'",
        ],
    ),
    Complaint(
        "a: ‹›]\n",
        "1:4: this ] closes nothing; remove it, or open its bracket",
        [
            "while parsing a block node: did not find expected node content",
            "while parsing a block node: expected the node content, but found ']'",
        ],
    ),
    Complaint(
        "a: [\n‹›",
        "1:4: this [ is not closed; write ] where it ends",
        [
            "while parsing a flow node: did not find expected node content",
            "while parsing a flow node: expected the node content, but found '<stream end>'",
        ],
    ),
    *(
        Complaint(
            f"a: ‹{opening}b\n›c: 1\n",
            f"1:4: this {opening} is not closed; write {closing} where it ends",
            [
                f"while parsing a flow {name}: did not find expected ',' or '{closing}'",
                f"while parsing a flow {name}: expected ',' or '{closing}', but got ':'",
            ],
        )
        for opening, closing, name in (("[", "]", "sequence"), ("{", "}", "mapping"))
    ),
    Complaint(
        "a: ‹[1›}\n",
        "1:6: a comma or ] is missing before this",
        ["while parsing a flow sequence: did not find expected ',' or ']'"],
    ),
]
WORDINGS = [
    pytest.param(complaint, wording, id=wording)
    for complaint in COMPLAINTS
    for wording in complaint.wordings
]
TODAY = [complaint for complaint in COMPLAINTS if complaint.everywhere]


def message_of(text: str) -> str:
    """The first line of the message, without the file's name."""
    with pytest.raises(SpecError) as raised:
        parse(Source("spec.yaml", text))
    return str(raised.value).split("\n")[0].removeprefix("spec.yaml:")


def loader_that_raises(error: yaml.YAMLError) -> type:
    class Loader(yaml.SafeLoader):
        def check_event(self, *_: Any) -> bool:
            raise error

    return Loader


@pytest.mark.parametrize(("complaint", "wording"), WORDINGS)
def test_wording(complaint: Complaint, wording: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, begun, stopped = complaint.marks()
    context, _, problem = wording.partition(": ")
    if wording.startswith(":"):
        context, problem = "", wording[2:]
    error = yaml.MarkedYAMLError(context or None, begun, problem, stopped)
    monkeypatch.setattr(parsing, "_LOADER", loader_that_raises(error))
    assert message_of(text) == complaint.message


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("complaint", TODAY, ids=lambda complaint: repr(complaint.text))
def test_loaders_of_this_machine(
    complaint: Complaint, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_LOADER", loader)
    assert message_of(complaint.marks()[0]) == complaint.message


def test_words_of_a_version_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no one has seen is placed, and its words are still not ours to pass on."""
    text = "a: 1\nb: 2\n"
    error = yaml.MarkedYAMLError(None, None, "flux capacitor missing", _mark(text, 5))
    monkeypatch.setattr(parsing, "_LOADER", loader_that_raises(error))
    assert message_of(text) == (
        "2:1: cannot be read as YAML; is a quote, a bracket or an indentation wrong above it?"
    )
    monkeypatch.setattr(parsing, "_LOADER", loader_that_raises(yaml.YAMLError("input is too long")))
    assert message_of(text).startswith("1:1: cannot be read as YAML; ")


class Newest(yaml.SafeLoader):
    """PyYAML's own parser with the bound of libyaml 0.2.6: 1,000 levels, counted by the scanner."""

    def too_deep(self, kind: str) -> None:
        if self.flow_level + len(self.indents) >= 1_000:
            mark = self.get_mark()
            doing = f"while increasing {kind} level"
            problem = "exceeded maximum nesting depth"
            raise yaml.scanner.ScannerError(doing, mark, problem, mark)

    def fetch_flow_collection_start(self, token: Any) -> None:
        self.too_deep("flow")
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        if self.indent < column:
            self.too_deep("block")
        return bool(super().add_indent(column))


DEEP = {
    "lists": ("[" * 10_000, "1:301"),
    "lists that are closed": ("[" * 1_200 + "]" * 1_200, "1:301"),
    "a value": ("a: 1\nb:\n  c: " + "[" * 1_001, "3:304"),
    "mappings": ("{a: " * 1_500, "1:1201"),
    "lists of lines": ("- " * 1_100 + "a", "1:601"),
    "mappings of lines": ("\n".join(" " * depth + "a:" for depth in range(2_000)), "301:301"),
    "lines, then brackets": (
        "\n".join(" " * depth + "a:" for depth in range(200)) + " " + "[" * 1_500,
        "200:303",
    ),
}


@pytest.mark.parametrize("loader", [*LOADERS, pytest.param(Newest, id="libyaml 0.2.6")])
@pytest.mark.parametrize("name", by_tier(DEEP, "a value", "lists that are closed", "mappings"))
def test_depth(name: str, loader: type, monkeypatch: pytest.MonkeyPatch) -> None:
    text, place = DEEP[name]
    monkeypatch.setattr(parsing, "_LOADER", loader)
    assert message_of(text) == f"{place}: is nested over {MAX_DEPTH} deep"


@pytest.mark.exhaustive
def test_the_stand_in_has_the_bound_of_libyaml() -> None:
    for text, _ in DEEP.values():
        with pytest.raises(yaml.YAMLError, match="exceeded maximum nesting depth"):
            list(yaml.parse(text, Loader=Newest))


def test_a_loader_whose_bound_is_lower_than_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [[]]"
    mark = _mark(text, 4)
    error = yaml.scanner.ScannerError("while …", mark, "exceeded maximum nesting depth", mark)
    monkeypatch.setattr(parsing, "_LOADER", loader_that_raises(error))
    assert message_of(text) == "1:5: is nested over 300 deep"


@pytest.fixture(params=LOADERS)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_LOADER", request.param)


@pytest.mark.usefixtures("_loader")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
@given(st.text("ab1é \n\t-:?,[]{}#&*!|>'\"%@`\\x\ufeff\x85\x07", max_size=40))
@example("%YAML 1." + "1" * 5_000 + "\n---\n1")
@example('"\\ud83d\\ude00"')
@example("a: \x07")
def test_every_complaint_is_understood(text: str) -> None:
    message = ""
    try:
        parse(Source("spec.yaml", text))
    except SpecError as error:
        message = str(error)
    assert "cannot be read as YAML" not in message


@pytest.mark.parametrize(
    "directive", ["%FOO bar", "%YAML 1.3", "%YAML 1.2 # ours\n%FOO", "# a\n%F"]
)
@pytest.mark.usefixtures("_loader")
def test_directives_that_some_loaders_pass_over(directive: str) -> None:
    line = directive.count("\n") + 1
    assert message_of(f"{directive}\n---\n1\n") == f"{line}:1: {DIRECTIVE}"


@pytest.mark.usefixtures("_loader")
def test_a_text_whose_last_line_has_no_end() -> None:
    assert message_of("a: [1, 2") == "1:4: this [ is not closed; write ] where it ends"
    assert message_of("a: [") == "1:4: this [ is not closed; write ] where it ends"
    assert message_of("{a:") == "1:3: a bracket is not closed; write ] or } where it ends"
    assert message_of('a: "b') == f"1:4: {OPEN}"
    assert message_of('a: "\\x') == f"1:5: {ESCAPE}"


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x7f", "\x80", "\x9f", "\ufeff", "\ufffe"])
@pytest.mark.usefixtures("_loader")
def test_characters_that_are_no_text(char: str) -> None:
    """From a command line as well, where no file was decoded."""
    assert message_of(f"a: 1\nb: {char}").startswith(f"2:4: holds the control character {char!r}; ")
