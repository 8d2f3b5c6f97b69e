"""What YAML's complaints mean to a reader: where to look, and what to do there.

libyaml words them in one way until 0.1, in others since, and PyYAML's own parser in yet another; a
reader sees one message. `_MEANINGS` has them all, the particular before the general.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncalc.errors import Mark, shorten
from cnncalc.spec.expressions import QUOTE_HINT

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

    Message = tuple[str, Mark, str]
    """What is wrong, where, and what to do."""


DIRECTIVE = ("a directive that cannot stand here", "remove this line: a spec needs none")
ESCAPE = ("\\ begins an escape in double quotes", "use single quotes, or write \\\\")
_INDENTATION = (
    "the indentation does not match the lines above",
    "what belongs together begins in the same column",
)
_MISPLACED = ("does not belong here", "is a quote or a bracket closed too early?")
_CLOSING = {"{": "}", "[": "]"}
_NO_SPACE = re.compile(r"^[\s-]*[\w.]+(?=:[^\s:])")
"""A line that begins with a key whose colon has no space after it."""
_WRONG_ESCAPE = re.compile(r"\\(u|U0000)[dD][89a-fA-F]|\\U(?!00(0|10))")
"""An escape of half a character, or of one beyond Unicode."""


def explained(text: str, error: yaml.YAMLError) -> Message:
    """Message, place and hint for what PyYAML says of a text, by libyaml or by itself."""
    problem = getattr(error, "problem", None) or str(error)
    doing = getattr(error, "context", None) or ""
    mark = _position(getattr(error, "problem_mark", None))
    context = _position(getattr(error, "context_mark", None))
    lines = text.splitlines()
    if lines and mark == (len(lines) - 1, len(lines[-1])) and "quoted" not in doing:
        mark = len(lines), 0  # of a text whose last line has no end, as libyaml places its end
    where = _Where(lines, mark or context or (0, 0), context or mark or (0, 0))
    words = f"{doing}: {problem}"
    return next(mean for pattern, mean in _MEANINGS if re.search(pattern, words))(where)


def stumbled(text: str, start: int = 0) -> Message:
    """What PyYAML's own parser passes over or fails at without a word, from `start` on.

    An escape of no character, or a version of thousands of digits.
    """
    found = _WRONG_ESCAPE.search(text, start)
    if not found:
        return DIRECTIVE[0], (0, 0), DIRECTIVE[1]
    lines = text[: found.start() + 1].splitlines()
    return ESCAPE[0], (len(lines) - 1, len(lines[-1]) - 1), ESCAPE[1]


def refused_tag(tag: str) -> tuple[str, str]:
    """Message and hint."""
    return f"the tag {shorten(tag)}: a spec has no tags", "put text in quotes"


class _Where(NamedTuple):
    """The lines of a text, the place of a complaint, and of what had begun before it."""

    lines: list[str]
    mark: Mark
    start: Mark

    def around(self, mark: Mark) -> tuple[str, str]:
        """The text of a line before a mark, and the character at it; empty past the end."""
        line = self.lines[mark[0]] if mark[0] < len(self.lines) else ""
        return line[: mark[1]], line[mark[1] : mark[1] + 1]

    @property
    def above(self) -> int:
        """The last line above the complaint that holds something; its own if there is none."""
        numbers = range(min(self.mark[0], len(self.lines)) - 1, -1, -1)
        return next((number for number in numbers if self.lines[number].strip()), self.mark[0])


def _directive(where: _Where) -> Message:
    return DIRECTIVE[0], (where.start[0], 0), DIRECTIVE[1]


def _tag(where: _Where) -> Message:
    """A tag that YAML has not, at its start."""
    before, _ = where.around(where.start)
    message, hint = refused_tag(where.lines[where.start[0]][len(before) :].split()[0])
    return message, where.start, hint


def _undefined_tag(where: _Where) -> Message:
    return _tag(where._replace(start=where.mark))


def _tab(where: _Where) -> Message:
    return "a tab where spaces should stand", where.mark, "indent with spaces, not tabs"


def _no_beginning(where: _Where) -> Message:
    """A text begins with a character that has another meaning there: `*.jpg`, `>50`, `@home`."""
    char = where.around(where.start)[1]
    return f"no text may begin with {char}", where.start, "put it in quotes"


def _no_token(where: _Where) -> Message:
    at_tab = where.around(where.mark)[1] == "\t"
    return _tab(where) if at_tab else _no_beginning(where._replace(start=where.mark))


def _block_scalar(where: _Where) -> Message:
    return _tab(where) if where.around(where.mark)[1] == "\t" else _no_beginning(where)


def _escape(where: _Where) -> Message:
    """At the backslash, wherever within the escape the parser gave up."""
    before, char = where.around(where.mark)
    column = where.mark[1] if char == "\\" else max(before.rfind("\\"), 0)
    return ESCAPE[0], (where.mark[0], column), ESCAPE[1]


def _open_quote(where: _Where) -> Message:
    return "the quote is not closed", where.start, "end the text with the quote it begins with"


def _no_key(where: _Where) -> Message:
    return "is neither `key: value` nor `- item`", where.start, "is a - or a colon missing?"


def _no_space(where: _Where) -> Message:
    return "a colon needs a space after it", where.mark, "write `key: value`"


def _stray_colon(where: _Where) -> Message:
    """A colon that ends no key: of this line, or of the line above that should have been a key."""
    number, above = where.mark[0], where.above
    before, _ = where.around(where.mark)
    if tab := re.match(r" *\t", before):
        return _tab(where._replace(mark=(number, tab.end() - 1)))
    for line, text in ((number, before), (above, where.lines[above])):
        if match := _NO_SPACE.match(text):
            return _no_space(where._replace(mark=(line, match.end())))
    if re.search(r":\s", before):
        item = re.match(r"\s*- (\w+): (\w+)", before)
        hint = (
            f"write {item[1]}: {{{item[2]}: …}}"
            if item
            else "put text that holds a colon in quotes"
        )
        return 'a second ": " in one value', where.mark, hint
    text = where.lines[above]
    if above != number and re.search(r":(\s|$)", text):
        return _INDENTATION[0], (number, len(before) - len(before.lstrip())), _INDENTATION[1]
    column = len(text) - len(text.lstrip())
    return "is not `key: value`", (above, column), "a key is followed by a colon and a space"


def _stray_dash(where: _Where) -> Message:
    before, _ = where.around(where.mark)
    if not before.rstrip().endswith(":"):
        return _MISPLACED[0], where.mark, _MISPLACED[1]
    hint = "write each - on a line of its own, or [a, b]"
    return "a list does not begin on the line of its key", where.mark, hint


def _unclosed(where: _Where) -> Message:
    """Within brackets: a cut expression, a bracket that is never closed, or a missing comma."""
    lines, mark, opening = where
    before, char = where.around(mark)
    bracket = where.around(opening)[1]
    closing = _CLOSING.get(bracket, "bracket")
    if char and char in "[{" and re.search(r"=[^,\"']*$", before):
        return f"an expression is cut at {char}", mark, QUOTE_HINT
    first = lines[opening[0]]
    indent = len(first) - len(first.lstrip())
    outside = mark[0] > opening[0] and (
        mark[0] >= len(lines) or len(before) - len(before.lstrip()) <= indent
    )
    if outside:
        return f"this {bracket} is not closed", opening, f"write {closing} where it ends"
    return f"a comma or {closing} is missing before this", mark, ""


def _document(where: _Where) -> Message:
    if where.lines[where.above].startswith("%"):
        return DIRECTIVE[0], (where.above, 0), DIRECTIVE[1]
    return "text after the end of the document", where.mark, "a file holds one network"


def _no_item(where: _Where) -> Message:
    """A list of lines goes on without its dash."""
    before, char = where.around(where.mark)
    if before.strip() or not char or char in "]}-":
        return _unexpected(where)
    hint = "write - before it, or indent it more"
    return "an item of this list begins with -", where.mark, hint


def _no_content(where: _Where) -> Message:
    """Within brackets; at the end of the text, what stands last is looked at."""
    if where.mark[0] < len(where.lines):
        return _unexpected(where)
    last = where.above, max(len(where.lines[where.above].rstrip()) - 1, 0)
    char = where.around(last)[1]
    which = f"this {char}" if char in _CLOSING else "a bracket"
    return f"{which} is not closed", last, f"write {_CLOSING.get(char, '] or }')} where it ends"


def _unexpected(where: _Where) -> Message:
    before, char = where.around(where.mark)
    if char and char in "]}":
        return f"this {char} closes nothing", where.mark, "remove it, or open its bracket"
    what, hint = _MISPLACED if before.strip() else _INDENTATION
    return what, where.mark, hint


def _anything(where: _Where) -> Message:
    hint = "is a quote, a bracket or an indentation wrong above it?"
    return "cannot be read as YAML", where.mark, hint


_MEANINGS: list[tuple[str, Callable[[_Where], Message]]] = [
    ("undefined tag handle", _undefined_tag),
    ("directive|YAML document|duplicate tag handle", _directive),
    ("(scanning|parsing) a tag:", _tag),
    ("scanning an (alias|anchor):", _no_beginning),
    ("tab character", _tab),
    ("scanning a block scalar:", _block_scalar),
    ("cannot start any token", _no_token),
    ("end of stream|document (indicator|separator)", _open_quote),
    ("quoted scalar:", _escape),
    ("unexpected ':'", _no_space),
    ("scanning a simple key:", _no_key),
    ("mapping values are not allowed", _stray_colon),
    ("sequence entries are not allowed", _stray_dash),
    ("mapping keys are not allowed", _no_token),
    ("expected ',' or", _unclosed),
    ("<document start>", _document),
    ("parsing a block collection:", _no_item),
    ("flow node: .*node content", _no_content),
    ("expected", _unexpected),
    ("", _anything),
]
"""What a complaint says, of what and why, and what it means."""


def _position(mark: Any) -> Mark | None:
    return (mark.line, mark.column) if mark is not None else None
